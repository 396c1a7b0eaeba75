// SPDX-License-Identifier: MIT
#include "pipelines/console/console.h"

#include "core/base/log.h"
#include "pipelines/console/access.h"
#include "pipelines/console/camera_api.h"
#include "pipelines/console/event_history.h"
#include "pipelines/console/gallery_api.h"
#include "pipelines/console/gallery_watch.h"
#include "pipelines/console/http_server.h"
#include "pipelines/console/metrics.h"
#include "pipelines/console/stream_bodies.h"
#include "pipelines/console/web_files.h"

#include <gio/gio.h>
#include <nlohmann/json.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace sphere::console {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kStatusInterval{300};

std::string dump(const json &value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

bool is_loopback(const std::string &address) {
    GInetAddress *parsed = g_inet_address_new_from_string(address.c_str());
    const bool loopback = parsed != nullptr && g_inet_address_get_is_loopback(parsed) != FALSE;
    g_clear_object(&parsed);
    return loopback;
}

class Console::Impl {
  public:
    Impl(ConsoleOptions options, ConsoleSource &source, std::string token,
         std::unique_ptr<EventHistory> history)
        : options_(std::move(options)), source_(source), token_(std::move(token)),
          sessions_(token_), history_(std::move(history)), gallery_api_(source, *history_),
          camera_api_(source, *history_, gallery_api_) {}
    ~Impl();
    Impl(const Impl &) = delete;
    Impl &operator=(const Impl &) = delete;

    Result<void> start();
    unsigned port() const { return server_->port(); }
    std::string address() const;
    const std::string &token_file() const { return options_.token_file; }
    std::string login_address() const { return address() + "#token=" + token_; }

  private:
    std::vector<Route> routes();
    Response login(const Request &request) const;
    Response metrics();
    void watch();

    ConsoleOptions options_;
    ConsoleSource &source_;
    std::string token_;
    Sessions sessions_;
    std::unique_ptr<EventHistory> history_;
    GalleryApi gallery_api_;
    CameraApi camera_api_;
    EventHub hub_;
    std::uint64_t subscription_ = 0;
    std::unique_ptr<HttpServer> server_;

    std::mutex mutex_; ///< guards counts_, event_seen_ and stopping_
    HttpCounts counts_;
    bool event_seen_ = false;
    bool stopping_ = false;
    std::condition_variable wake_;
    std::thread watcher_;
};

Result<void> Console::Impl::start() {
    HttpOptions http;
    http.address = options_.address;
    http.port = options_.port;
    http.allowed_hosts = options_.allowed_hosts;
    http.token = token_;
    history_->listen([this] { hub_.send("history", "{}"); });
    auto server = HttpServer::start(http, routes());
    if (!server)
        return std::move(server).error();
    server_ = std::move(*server);
    subscription_ = source_.subscribe([this](const CameraEvent &event) {
        const auto kept = history_->add(event);
        if (!kept)
            return;
        hub_.send("event", dump(event_json(*kept)));
        {
            const std::lock_guard lock(mutex_);
            event_seen_ = true; // who is in view changed: pages hear of it now
        }
        wake_.notify_all();
    });
    watcher_ = std::thread([this] { watch(); });
    return {};
}

Console::Impl::~Impl() {
    if (watcher_.joinable()) {
        source_.unsubscribe(subscription_);
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        watcher_.join();
    }
    server_.reset(); // before what its handlers use
}

std::string Console::Impl::address() const {
    const bool everywhere = options_.address == "0.0.0.0" || options_.address == "::";
    std::string host = everywhere ? "127.0.0.1" : options_.address;
    if (host.find(':') != std::string::npos)
        host = "[" + host + "]";
    return "http://" + host + ":" + std::to_string(server_->port()) + "/";
}

std::vector<Route> Console::Impl::routes() {
    std::vector<Route> routes = web_routes();
    for (const auto &more : {gallery_api_.routes(), camera_api_.routes()})
        routes.insert(routes.end(), more.begin(), more.end());
    routes.push_back({"POST", "/api/login", false, true,
                      [this](const Request &request) { return login(request); }});
    routes.push_back({"POST", "/api/logout", false, false, [](const Request &request) {
                          Response response;
                          response.body = "{}";
                          response.headers.emplace_back(
                              "Set-Cookie", request.cookie + "=; Path=/; Max-Age=0; "
                                                             "HttpOnly; SameSite=Strict");
                          return response;
                      }});
    routes.push_back({"GET", "/metrics", false, is_loopback(options_.address),
                      [this](const Request &) { return metrics(); }});
    Route stream{"GET", "/api/stream"};
    stream.stream = [this](const Request &) {
        return std::make_unique<EventHub::Listener>(hub_);
    };
    routes.push_back(std::move(stream));
    return routes;
}

Response Console::Impl::login(const Request &request) const {
    const json body = json::parse(request.body, nullptr, false);
    const auto token = body.is_object() ? body.find("token") : body.end();
    if (token == body.end() || !token->is_string() ||
        !sessions_.is_token(token->get_ref<const std::string &>())) {
        Response refused = error_response(401, "this is not the token: take the address that "
                                               "sphere-camera printed");
        refused.wrong_token = true;
        return refused;
    }
    Response response;
    response.body = "{}";
    response.headers.emplace_back(
        "Set-Cookie", request.cookie + "=" +
                          sessions_.issue(g_get_real_time() / G_USEC_PER_SEC) +
                          "; Path=/; Max-Age=" + std::to_string(Sessions::kLifetime_s) +
                          "; HttpOnly; SameSite=Strict");
    return response;
}

Response Console::Impl::metrics() {
    HttpCounts counts;
    {
        const std::lock_guard lock(mutex_);
        counts = counts_;
    }
    Response response;
    response.type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics_text(source_.statuses(), source_.events_lost(), counts);
    return response;
}

void Console::Impl::watch() {
    GalleryWatch galleries;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        wake_.wait_for(lock, kStatusInterval, [this] { return stopping_ || event_seen_; });
        event_seen_ = false;
        if (stopping_)
            break;
        counts_ = server_->counts();
        lock.unlock();
        if (hub_.anybody()) {
            hub_.send("status", dump(camera_api_.cameras_json()));
            for (const auto &gallery : gallery_api_.galleries())
                if (galleries.changed(gallery.location))
                    hub_.send("gallery", dump({{"gallery", gallery.name}}));
        }
        lock.lock();
    }
}

Console::Console(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Console::~Console() = default;

Result<std::unique_ptr<Console>> Console::start(const ConsoleOptions &options,
                                                ConsoleSource &source) {
    ConsoleOptions resolved = options;
    if (resolved.token_file.empty())
        resolved.token_file = default_token_file();
    auto token = load_or_make_token(resolved.token_file);
    if (!token)
        return std::move(token).error();
    auto history = EventHistory::open(options.events_file, {});
    if (!history)
        return std::move(history).error();
    auto impl =
        std::make_unique<Impl>(resolved, source, std::move(*token), std::move(*history));
    SPHERE_TRY(impl->start());
    if (!is_loopback(options.address))
        log(LogLevel::Warning,
            "http: " + options.address +
                " is not loopback: others in the network reach the console, and read what goes "
                "over it. Put a proxy with TLS in front of 127.0.0.1 instead.");
    return std::unique_ptr<Console>(new Console(std::move(impl)));
}

unsigned Console::port() const {
    return impl_->port();
}
std::string Console::address() const {
    return impl_->address();
}
const std::string &Console::token_file() const {
    return impl_->token_file();
}
std::string Console::login_address() const {
    return impl_->login_address();
}

} // namespace sphere::console
