// SPDX-License-Identifier: MIT
// MQTT by libmosquitto, driven from the caller's thread. The library sends what it holds
// unconfirmed again when it is connected again, so that only a crash of ours can lose a record
// of QoS 1 and 2.
#include "core/publish/credentials.h"
#include "core/publish/home_assistant.h"
#include "core/publish/in_flight.h"
#include "core/publish/network_destinations.h"
#include "core/publish/tls_files.h"

#include "core/base/log.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mosquitto.h>
#include <mutex>

namespace sphere {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kKeepAliveSeconds = 30;
constexpr int kSessionPresent = 1; ///< MQTT 3.1.1, 3.2.2.2
constexpr int kLoopMs = 20;
constexpr milliseconds kIdleConnect{1000};
constexpr milliseconds kIdleBackOff{5000};
constexpr milliseconds kGoodbye{1000};

class MqttDestination final : public Destination {
  public:
    MqttDestination(PublishLocation location, const PublishOptions &options)
        : location_(std::move(location)), options_(options),
          status_topic_(location_.topic + "/status") {}
    MqttDestination(const MqttDestination &) = delete;
    MqttDestination &operator=(const MqttDestination &) = delete;
    ~MqttDestination() override;

    Result<void> prepare(const Credentials &credentials);
    Result<void> send(std::span<const Message> batch, std::size_t &delivered) override;
    void idle() override;
    void interrupt() override { interrupted_ = true; }

  private:
    Result<void> prepare_tls();
    Error error(const std::string &what) const {
        return fail(Errc::Io, "publish to ", location_.shown, ": ", what);
    }
    static std::string reason(int code) {
        return code == MOSQ_ERR_ERRNO ? std::strerror(errno) : mosquitto_strerror(code);
    }
    Result<void> connect(Clock::time_point deadline);
    bool run(int timeout_ms);
    void greet();
    /// What was handed over and is not confirmed will be handed over again.
    void forget_in_flight() {
        in_flight_.clear();
        sequences_.clear();
    }
    bool hand_over(const Message &message, bool &refused);
    static void connected(mosquitto *, void *self, int code, int flags);
    static void disconnected(mosquitto *, void *self, int code);
    static void published(mosquitto *, void *self, int mid);

    PublishLocation location_;
    PublishOptions options_;
    std::string status_topic_;
    mosquitto *client_ = nullptr;
    bool started_ = false;   ///< there was an attempt to connect
    bool connected_ = false; ///< the broker has accepted us
    int refusal_ = 0;        ///< why not
    int last_code_ = 0;      ///< of the loop
    InFlight in_flight_;
    std::map<int, std::uint64_t> sequences_; ///< of message ids
    int early_mid_ = -1;                     ///< reported last
    int status_mid_ = -1;                    ///< of the last words
    Clock::time_point next_idle_connect_{};
    std::atomic<bool> interrupted_{false};
};

MqttDestination::~MqttDestination() {
    if (client_ == nullptr)
        return;
    if (connected_) { // an orderly end has no last will
        const auto deadline = Clock::now() + kGoodbye;
        mosquitto_publish(client_, &status_mid_, status_topic_.c_str(), 7, "offline", 1, true);
        while (status_mid_ >= 0 && Clock::now() < deadline && run(kLoopMs)) {
        }
        mosquitto_disconnect(client_);
        run(kLoopMs);
    }
    mosquitto_destroy(client_);
}

void MqttDestination::connected(mosquitto *, void *self, int code, int flags) {
    auto *mqtt = static_cast<MqttDestination *>(self);
    mqtt->connected_ = code == 0;
    mqtt->refusal_ = code;
    // A broker that has no session of ours has forgotten what it took of QoS 2 and had not
    // passed on. The library would go on with the second half of that exchange, which such a
    // broker confirms all the same. So these are sent anew: twice is what a reader can tell by
    // the sequence.
    if (code == 0 && (flags & kSessionPresent) == 0 && mqtt->options_.qos == 2)
        mqtt->forget_in_flight();
    if (code == 0)
        mqtt->greet();
}

void MqttDestination::disconnected(mosquitto *, void *self, int) {
    auto *mqtt = static_cast<MqttDestination *>(self);
    mqtt->connected_ = false;
    // The library forgets what it could not write of QoS 0.
    if (mqtt->options_.qos == 0)
        mqtt->forget_in_flight();
}

void MqttDestination::published(mosquitto *, void *self, int mid) {
    auto *mqtt = static_cast<MqttDestination *>(self);
    if (mid == mqtt->status_mid_)
        mqtt->status_mid_ = -1;
    const auto found = mqtt->sequences_.find(mid);
    mqtt->early_mid_ = mid; // QoS 0 is written, and reported, within mosquitto_publish()
    if (found == mqtt->sequences_.end())
        return;
    mqtt->in_flight_.confirm(found->second);
    mqtt->sequences_.erase(found);
}

Result<void> MqttDestination::prepare_tls() {
    SPHERE_TRY(check_tls_files(location_, options_));
    if (!location_.tls)
        return {};
    const auto name = [](const std::string &text) {
        return text.empty() ? nullptr : text.c_str();
    };
    // Without this the library would ask for a key's pass phrase on the terminal.
    const auto no_pass_phrase = [](char *, int, int, void *) { return 0; };
    int code = MOSQ_ERR_SUCCESS;
    if (options_.ca_file.empty())
        code = mosquitto_int_option(client_, MOSQ_OPT_TLS_USE_OS_CERTS, 1);
    else
        code = mosquitto_tls_set(client_, name(options_.ca_file), nullptr,
                                 name(options_.cert_file), name(options_.key_file),
                                 no_pass_phrase);
    if (code == MOSQ_ERR_SUCCESS && options_.ca_file.empty() && !options_.cert_file.empty())
        return fail(Errc::InvalidArgument,
                    "cert-file needs ca-file: the server's authority, PEM");
    if (code != MOSQ_ERR_SUCCESS)
        return fail(Errc::InvalidArgument, "publish to ", location_.shown,
                    ": TLS: ", reason(code));
    return {};
}

Result<void> MqttDestination::prepare(const Credentials &credentials) {
    const bool own_id = !options_.client_id.empty();
    client_ = mosquitto_new(own_id ? options_.client_id.c_str() : nullptr, !own_id, this);
    if (client_ == nullptr)
        return fail(Errc::InvalidArgument, "publish to ", location_.shown,
                    ": client-id is not taken: ", std::strerror(errno));
    mosquitto_connect_with_flags_callback_set(client_, &MqttDestination::connected);
    mosquitto_disconnect_callback_set(client_, &MqttDestination::disconnected);
    mosquitto_publish_callback_set(client_, &MqttDestination::published);
    SPHERE_TRY(prepare_tls());
    const bool named = !credentials.username.empty();
    if (named && !location_.tls && !location_.is_loopback())
        log(LogLevel::Warning, "publish to " + location_.shown +
                                   ": the password goes over the network in clear text; "
                                   "mqtts:// does not let it");
    const int code = named ? mosquitto_username_pw_set(client_, credentials.username.c_str(),
                                                       credentials.password.c_str())
                           : MOSQ_ERR_SUCCESS;
    const int will = mosquitto_will_set(client_, status_topic_.c_str(), 7, "offline", 1, true);
    if (code != MOSQ_ERR_SUCCESS || will != MOSQ_ERR_SUCCESS)
        return fail(Errc::InvalidArgument, "publish to ", location_.shown, ": ",
                    reason(code != MOSQ_ERR_SUCCESS ? code : will));
    return {};
}

void MqttDestination::greet() {
    mosquitto_publish(client_, nullptr, status_topic_.c_str(), 6, "online", 1, true);
    for (const DiscoveryMessage &message : home_assistant_discovery(location_.topic, options_))
        mosquitto_publish(client_, nullptr, message.topic.c_str(),
                          static_cast<int>(message.payload.size()), message.payload.data(), 1,
                          true);
}

/// A turn of the client. False: there is no connection.
bool MqttDestination::run(int timeout_ms) {
    last_code_ = mosquitto_loop(client_, timeout_ms, 1);
    if (last_code_ != MOSQ_ERR_SUCCESS)
        connected_ = false;
    return last_code_ == MOSQ_ERR_SUCCESS;
}

Result<void> MqttDestination::connect(Clock::time_point deadline) {
    if (connected_ && run(0) && connected_)
        return {};
    refusal_ = 0;
    int code = started_ ? mosquitto_reconnect_async(client_)
                        : mosquitto_connect_async(client_, location_.host.c_str(),
                                                  location_.port, kKeepAliveSeconds);
    started_ = started_ || code != MOSQ_ERR_INVAL;
    if (code != MOSQ_ERR_SUCCESS)
        return error(reason(code));
    while (!connected_ && refusal_ == 0 && !interrupted_ && Clock::now() < deadline)
        if (!run(kLoopMs) && refusal_ == 0)
            return error(reason(last_code_));
    if (connected_)
        return {};
    if (refusal_ == 0)
        return error("no answer within the time-out");
    Error refused = error(mosquitto_connack_string(refusal_));
    if (refusal_ == 4 || refusal_ == 5) { // MQTT 3.1.1, 3.2.2.3: bad password, not authorised
        refused.code = Errc::Permission;
        refused.message += " Give username=... and password=... in credentials-file, or "
                           "SPHERE_PUBLISH_USERNAME and SPHERE_PUBLISH_PASSWORD";
    }
    return refused;
}

/// False: it was not taken; for good where `refused`.
bool MqttDestination::hand_over(const Message &message, bool &refused) {
    if (in_flight_.holds(message.sequence))
        return true;
    in_flight_.begin(message.sequence);
    early_mid_ = -1;
    int mid = 0;
    const int code = mosquitto_publish(client_, &mid, location_.topic.c_str(),
                                       static_cast<int>(message.line.size()),
                                       message.line.data(), options_.qos, false);
    // Without a connection the library keeps it, but for QoS 0.
    if (code == MOSQ_ERR_SUCCESS || (code == MOSQ_ERR_NO_CONN && options_.qos > 0)) {
        if (options_.qos == 0 && early_mid_ == mid)
            in_flight_.confirm(message.sequence);
        else
            sequences_[mid] = message.sequence;
        return true;
    }
    in_flight_.forget(message.sequence);
    refused = code == MOSQ_ERR_PAYLOAD_SIZE || code == MOSQ_ERR_OVERSIZE_PACKET;
    last_code_ = code;
    return false;
}

Result<void> MqttDestination::send(std::span<const Message> batch, std::size_t &delivered) {
    delivered = 0;
    const auto deadline = Clock::now() + milliseconds(options_.timeout_ms);
    SPHERE_TRY(connect(deadline));
    bool refused = false;
    std::size_t handed = 0;
    while (handed < batch.size() && hand_over(batch[handed], refused))
        ++handed;
    const auto ours = batch.first(handed);
    while (in_flight_.confirmed(ours) < handed && !interrupted_ && Clock::now() < deadline)
        if (!run(kLoopMs))
            break;
    delivered = in_flight_.confirmed(ours);
    in_flight_.settle(batch, delivered);
    if (delivered == batch.size())
        return {};
    if (delivered == handed && refused)
        return fail(Errc::InvalidArgument, "publish to ", location_.shown,
                    ": a record is too large: ", reason(last_code_));
    return error(connected_ ? "no answer within the time-out" : reason(last_code_));
}

void MqttDestination::idle() {
    if (connected_) {
        run(0);
    } else if (Clock::now() >= next_idle_connect_) {
        // The status is seen before the first record, and again after a broker came back.
        if (const auto result = connect(Clock::now() + kIdleConnect); !result)
            log(LogLevel::Debug, result.error().message);
        next_idle_connect_ = Clock::now() + kIdleBackOff;
    }
}

} // namespace

Result<std::unique_ptr<Destination>> make_mqtt_destination(const PublishLocation &location,
                                                           const PublishOptions &options) {
    static std::once_flag once;
    std::call_once(once, [] { mosquitto_lib_init(); });
    const auto credentials = read_credentials(options.credentials_file);
    if (!credentials)
        return credentials.error();
    if (options.qos < 0 || options.qos > 2)
        return fail(Errc::InvalidArgument, "qos is 0, 1 or 2");
    auto destination = std::make_unique<MqttDestination>(location, options);
    SPHERE_TRY(destination->prepare(*credentials));
    return std::unique_ptr<Destination>(std::move(destination));
}

} // namespace sphere
