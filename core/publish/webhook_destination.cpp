// SPDX-License-Identifier: MIT
// A POST a record by libcurl.
#include "core/publish/credentials.h"
#include "core/publish/network_destinations.h"
#include "core/publish/tls_files.h"

#include <array>
#include <atomic>
#include <curl/curl.h>
#include <mutex>

namespace sphere {
namespace {

class WebhookDestination final : public Destination {
  public:
    WebhookDestination(PublishLocation location, const PublishOptions &options,
                       Credentials credentials)
        : location_(std::move(location)), options_(options),
          credentials_(std::move(credentials)), curl_(curl_easy_init()) {}
    WebhookDestination(const WebhookDestination &) = delete;
    WebhookDestination &operator=(const WebhookDestination &) = delete;
    ~WebhookDestination() override {
        curl_easy_cleanup(curl_);
        curl_slist_free_all(headers_);
    }

    Result<void> send(std::span<const Message> batch, std::size_t &delivered) override {
        for (delivered = 0; delivered < batch.size(); ++delivered)
            SPHERE_TRY(post(batch[delivered]));
        return {};
    }
    void interrupt() override { interrupted_ = true; }

  private:
    Result<void> post(const Message &message);
    Result<void> answer(long status) const;
    static const char *remedy(CURLcode code);
    bool prepare();
    bool set_headers(const Message &message);
    static std::size_t discard(char *, std::size_t size, std::size_t count, void *) {
        return size * count;
    }
    static int progress(void *self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return static_cast<WebhookDestination *>(self)->interrupted_ ? 1 : 0;
    }

    PublishLocation location_;
    PublishOptions options_;
    Credentials credentials_;
    CURL *curl_;
    curl_slist *headers_ = nullptr;
    bool prepared_ = false;
    std::atomic<bool> interrupted_{false};
};

/// What is the same for all requests; the connection is kept between them.
bool WebhookDestination::prepare() {
    const std::string url =
        credentials_.query.empty() ? location_.url : location_.url + "?" + credentials_.query;
    const auto set = [this](CURLoption option, auto value) {
        return curl_easy_setopt(curl_, option, value) == CURLE_OK;
    };
    const auto set_text = [&](CURLoption option, const std::string &text) {
        return text.empty() || set(option, text.c_str());
    };
    const auto timeout = static_cast<long>(options_.timeout_ms);
    return curl_ != nullptr && set(CURLOPT_URL, url.c_str()) && set(CURLOPT_POST, 1L) &&
           set(CURLOPT_PROTOCOLS_STR, location_.tls ? "https" : "http") &&
           set(CURLOPT_NOSIGNAL, 1L) && set(CURLOPT_NETRC, CURL_NETRC_IGNORED) &&
           set(CURLOPT_TIMEOUT_MS, timeout) && set(CURLOPT_CONNECTTIMEOUT_MS, timeout) &&
           set(CURLOPT_USERAGENT, "gst-sphere/" SPHERE_VERSION) &&
           set(CURLOPT_WRITEFUNCTION, &discard) && set(CURLOPT_NOPROGRESS, 0L) &&
           set(CURLOPT_XFERINFOFUNCTION, &progress) && set(CURLOPT_XFERINFODATA, this) &&
           set_text(CURLOPT_USERNAME, credentials_.username) &&
           set_text(CURLOPT_PASSWORD, credentials_.password) &&
           set_text(CURLOPT_CAINFO, options_.ca_file) &&
           set_text(CURLOPT_SSLCERT, options_.cert_file) &&
           set_text(CURLOPT_SSLKEY, options_.key_file);
}

bool WebhookDestination::set_headers(const Message &message) {
    curl_slist_free_all(headers_);
    headers_ = nullptr;
    const auto add = [this](const std::string &header) {
        curl_slist *longer = curl_slist_append(headers_, header.c_str());
        headers_ = longer != nullptr ? longer : headers_;
        return longer != nullptr;
    };
    const bool plain =
        add("Content-Type: application/json") && add("Expect:") &&
        (message.sequence == 0 || add("Idempotency-Key: " + std::to_string(message.sequence)));
    return plain &&
           (credentials_.token.empty() || add("Authorization: Bearer " + credentials_.token)) &&
           curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers_) == CURLE_OK;
}

/// Statuses that say something of this record end it; all others may be different later.
Result<void> WebhookDestination::answer(long status) const {
    if (status >= 200 && status < 300)
        return {};
    const std::string what =
        "publish to " + location_.shown + ": the server answers " + std::to_string(status);
    if (status == 400 || status == 413 || status == 415 || status == 422)
        return fail(Errc::InvalidArgument, what, ": it does not take this record");
    if (status == 401 || status == 403)
        return fail(Errc::Permission, what,
                    ": give token=... in credentials-file, or in SPHERE_PUBLISH_TOKEN");
    if (status >= 300 && status < 400)
        return fail(Errc::Io, what, ", a redirection, which is not followed: name its target");
    return fail(Errc::Io, what);
}

const char *WebhookDestination::remedy(CURLcode code) {
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return ": name the authority that vouches for the server in ca-file, and the server as "
               "its "
               "certificate does in location";
    case CURLE_SSL_CACERT_BADFILE:
        return ": check ca-file";
    case CURLE_SSL_CERTPROBLEM:
        return ": check cert-file and key-file";
    default:
        return "";
    }
}

Result<void> WebhookDestination::post(const Message &message) {
    if (!prepared_)
        prepared_ = prepare();
    std::array<char, CURL_ERROR_SIZE> why{};
    if (!prepared_ || !set_headers(message) ||
        curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, message.line.c_str()) != CURLE_OK ||
        curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE_LARGE,
                         static_cast<curl_off_t>(message.line.size())) != CURLE_OK ||
        curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, why.data()) != CURLE_OK)
        return fail(Errc::Internal, "publish to ", location_.shown,
                    ": libcurl takes no request");
    const CURLcode code = curl_easy_perform(curl_);
    curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, nullptr);
    if (code != CURLE_OK)
        return fail(Errc::Io, "publish to ", location_.shown, ": ",
                    why[0] != '\0' ? why.data() : curl_easy_strerror(code), remedy(code));
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    return answer(status);
}

} // namespace

Result<std::unique_ptr<Destination>> make_webhook_destination(const PublishLocation &location,
                                                              const PublishOptions &options) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    auto credentials = read_credentials(options.credentials_file);
    if (!credentials)
        return std::move(credentials).error();
    const bool secret = !credentials->token.empty() || !credentials->query.empty() ||
                        !credentials->password.empty();
    if (secret && !location.tls && !location.is_loopback())
        return fail(
            Errc::InvalidArgument, "publish to ", location.shown,
            ": a token or password would go over the network in clear text: use https://");
    SPHERE_TRY(check_tls_files(location, options));
    return std::unique_ptr<Destination>(
        new WebhookDestination(location, options, std::move(*credentials)));
}

} // namespace sphere
