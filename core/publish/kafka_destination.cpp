// SPDX-License-Identifier: MIT
// Kafka by librdkafka. Its producer is idempotent: what it holds is written once and in order
// whatever happens to connections, so a record is handed to it once and then waited for.
#include "core/publish/credentials.h"
#include "core/publish/in_flight.h"
#include "core/publish/network_destinations.h"
#include "core/publish/tls_files.h"

#include "core/base/log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <librdkafka/rdkafka.h>

namespace sphere {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kPollMs = 20;

bool too_large(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

class KafkaDestination final : public Destination {
  public:
    KafkaDestination(PublishLocation location, const PublishOptions &options,
                     Credentials credentials)
        : location_(std::move(location)), options_(options),
          credentials_(std::move(credentials)) {}
    KafkaDestination(const KafkaDestination &) = delete;
    KafkaDestination &operator=(const KafkaDestination &) = delete;
    ~KafkaDestination() override { reset(); }

    Result<void> start();
    Result<void> send(std::span<const Message> batch, std::size_t &delivered) override;
    void idle() override {
        if (producer_ != nullptr)
            rd_kafka_poll(producer_, 0);
    }
    void interrupt() override { interrupted_ = true; }

  private:
    bool configure(rd_kafka_conf_t *conf, std::string &why) const;
    void reset();
    bool hand_over(const Message &message);
    Error error() const;
    static void reported(rd_kafka_t *, const rd_kafka_message_t *message, void *self);
    static void failed(rd_kafka_t *, int code, const char *reason, void *self);
    /// The library's own log; ours says once what is wrong, with `failed`.
    static void log_line(const rd_kafka_t *, int, const char *, const char *line) {
        log(LogLevel::Debug, std::string("librdkafka: ") + line);
    }

    PublishLocation location_;
    PublishOptions options_;
    Credentials credentials_;
    rd_kafka_t *producer_ = nullptr;
    InFlight in_flight_;
    std::uint64_t refused_ = 0; ///< sequence of a record that is never taken
    std::string why_;           ///< what went wrong last
    std::atomic<bool> interrupted_{false};
};

void KafkaDestination::reported(rd_kafka_t *, const rd_kafka_message_t *message, void *self) {
    auto *kafka = static_cast<KafkaDestination *>(self);
    const auto sequence = reinterpret_cast<std::uintptr_t>(message->_private);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->in_flight_.confirm(sequence);
        return;
    }
    kafka->in_flight_.forget(sequence); // it is handed over once more
    kafka->why_ = rd_kafka_err2str(message->err);
    if (too_large(message->err))
        kafka->refused_ = sequence;
}

Error KafkaDestination::error() const {
    // The library says it in two ways: its own text, and OpenSSL's with the broker's state.
    const bool handshake = why_.find("SSL handshake failed") != std::string::npos ||
                           why_.find("in state SSL_HANDSHAKE") != std::string::npos;
    return fail(Errc::Io, "publish to ", location_.shown, ": ",
                why_.empty() ? "no answer within the time-out" : why_,
                handshake
                    ? ": name the authority that vouches for the cluster in ca-file, and its "
                      "brokers as their certificates do in location"
                    : "");
}

void KafkaDestination::failed(rd_kafka_t *, int code, const char *reason, void *self) {
    std::string &why = static_cast<KafkaDestination *>(self)->why_;
    log(LogLevel::Debug, std::string("librdkafka reports: ") + reason);
    // That all brokers are down follows what each of them said, which tells more.
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || why.empty())
        why = reason;
}

bool KafkaDestination::configure(rd_kafka_conf_t *conf, std::string &why) const {
    const bool sasl = !credentials_.username.empty();
    const char *protocol =
        location_.tls ? (sasl ? "sasl_ssl" : "ssl") : (sasl ? "sasl_plaintext" : "plaintext");
    const std::pair<const char *, std::string> settings[] = {
        {"bootstrap.servers", location_.brokers},
        {"client.id", options_.client_id.empty() ? "gst-sphere" : options_.client_id},
        {"enable.idempotence", "true"},
        {"message.timeout.ms", "0"}, // records that are away are ours to keep
        {"socket.timeout.ms", std::to_string(std::max(options_.timeout_ms, 1000U))},
        {"reconnect.backoff.max.ms", "2000"},
        {"linger.ms", "5"},
        {"security.protocol", protocol},
        {"ssl.endpoint.identification.algorithm",
         location_.tls ? "https" : ""}, // not yet in 1.x
        {"ssl.ca.location", options_.ca_file},
        {"ssl.certificate.location", options_.cert_file},
        {"ssl.key.location", options_.key_file},
        {"sasl.mechanisms", sasl ? "PLAIN" : ""},
        {"sasl.username", credentials_.username},
        {"sasl.password", credentials_.password},
    };
    std::array<char, 256> text{};
    for (const auto &[name, value] : settings) {
        if (value.empty())
            continue;
        if (rd_kafka_conf_set(conf, name, value.c_str(), text.data(), text.size()) !=
            RD_KAFKA_CONF_OK) {
            // The library's own text may repeat the value.
            why = std::string("librdkafka does not take ") + name;
            return false;
        }
    }
    return true;
}

Result<void> KafkaDestination::start() {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_dr_msg_cb(conf, &KafkaDestination::reported);
    rd_kafka_conf_set_error_cb(conf, &KafkaDestination::failed);
    rd_kafka_conf_set_log_cb(conf, &KafkaDestination::log_line);
    std::string why;
    std::array<char, 256> text{};
    if (configure(conf, why)) {
        producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size());
        why = text.data();
    }
    if (producer_ != nullptr)
        return {};
    rd_kafka_conf_destroy(conf);
    return fail(Errc::InvalidArgument, "publish to ", location_.shown, ": ", why,
                location_.tls ? ": check ca-file, cert-file and key-file" : "");
}

void KafkaDestination::reset() {
    if (producer_ == nullptr)
        return;
    rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                  RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_poll(producer_, 0);
    rd_kafka_destroy(producer_);
    producer_ = nullptr;
    in_flight_.clear();
}

/// False: it was not taken.
bool KafkaDestination::hand_over(const Message &message) {
    if (in_flight_.holds(message.sequence))
        return true;
    in_flight_.begin(message.sequence);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        producer_, RD_KAFKA_V_TOPIC(location_.topic.c_str()),
        RD_KAFKA_V_KEY(options_.stream.data(), options_.stream.size()),
        RD_KAFKA_V_VALUE(const_cast<char *>(message.line.data()), message.line.size()),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE(reinterpret_cast<void *>(message.sequence)), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    in_flight_.forget(message.sequence);
    why_ = rd_kafka_err2str(code);
    if (too_large(code))
        refused_ = message.sequence;
    return false;
}

Result<void> KafkaDestination::send(std::span<const Message> batch, std::size_t &delivered) {
    delivered = 0;
    refused_ = 0;
    std::array<char, 256> text{};
    if (producer_ != nullptr &&
        rd_kafka_fatal_error(producer_, text.data(), text.size()) != RD_KAFKA_RESP_ERR_NO_ERROR)
        reset(); // what it held is sent again, by a new producer
    if (producer_ == nullptr)
        SPHERE_TRY(start());
    const auto deadline = Clock::now() + milliseconds(options_.timeout_ms);
    std::size_t handed = 0;
    while (handed < batch.size() && hand_over(batch[handed]))
        ++handed;
    const auto ours = batch.first(handed);
    while (in_flight_.confirmed(ours) < handed && refused_ == 0 && !interrupted_ &&
           Clock::now() < deadline)
        rd_kafka_poll(producer_, kPollMs);
    delivered = in_flight_.confirmed(ours);
    in_flight_.settle(batch, delivered);
    if (delivered == batch.size()) {
        why_.clear();
        return {};
    }
    if (refused_ != 0 && batch[delivered].sequence == refused_)
        return fail(Errc::InvalidArgument, "publish to ", location_.shown,
                    ": a record is not taken: ", why_);
    return error();
}

} // namespace

Result<std::unique_ptr<Destination>> make_kafka_destination(const PublishLocation &location,
                                                            const PublishOptions &options) {
    auto credentials = read_credentials(options.credentials_file);
    if (!credentials)
        return std::move(credentials).error();
    if (!credentials->password.empty() && !location.tls)
        return fail(Errc::InvalidArgument, "publish to ", location.shown,
                    ": the password would go over the network in clear text: use kafkas://");
    SPHERE_TRY(check_tls_files(location, options));
    auto destination =
        std::make_unique<KafkaDestination>(location, options, std::move(*credentials));
    SPHERE_TRY(destination->start());
    return std::unique_ptr<Destination>(std::move(destination));
}

} // namespace sphere
