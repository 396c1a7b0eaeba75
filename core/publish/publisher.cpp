// SPDX-License-Identifier: MIT
// The table of destinations, and the publisher that waits for them.
#include "core/publish/publisher.h"

#include "core/publish/file_destination.h"
#include "core/publish/location.h"
#include "core/publish/network_destinations.h"
#include "core/publish/socket_destination.h"

namespace sphere {
namespace {

struct Backend {
    PublishScheme scheme;
    Result<std::unique_ptr<Destination>> (*make)(const PublishLocation &location,
                                                 const PublishOptions &options);
};
constexpr Backend kBackends[] = {
    {PublishScheme::File, &make_file_destination},
    {PublishScheme::Stdout, &make_stdout_destination},
    {PublishScheme::Unix, &make_socket_destination},
    {PublishScheme::Mqtt, &make_mqtt_destination},
    {PublishScheme::Kafka, &make_kafka_destination},
    {PublishScheme::Webhook, &make_webhook_destination},
};

class DirectPublisher final : public Publisher {
  public:
    DirectPublisher(std::unique_ptr<Destination> destination, bool embeddings)
        : destination_(std::move(destination)), embeddings_(embeddings) {}

    Result<void> publish(const FrameRecord &record) override {
        message_.kind = RecordKind::Frame;
        message_.line.clear();
        append_json_line(message_.line, record, embeddings_);
        return send();
    }
    Result<void> publish(const EventRecord &record) override {
        message_.kind = RecordKind::Event;
        message_.line.clear();
        append_json_line(message_.line, record);
        return send();
    }
    Result<void> flush() override { return {}; } // nothing is kept back

  private:
    Result<void> send() {
        ++message_.sequence;
        std::size_t delivered = 0;
        return destination_->send({&message_, 1}, delivered);
    }

    std::unique_ptr<Destination> destination_;
    bool embeddings_;
    Message message_; ///< kept for its memory
};

} // namespace

Result<std::unique_ptr<Destination>> make_destination(const PublishOptions &options) {
    const auto location = parse_location(options.location);
    if (!location)
        return location.error();
    for (const Backend &backend : kBackends)
        if (backend.scheme == location->scheme)
            return backend.make(*location, options);
    return fail(Errc::Internal, "no destination for ", location->shown);
}

Result<std::unique_ptr<Publisher>> make_publisher(const PublishOptions &options) {
    auto destination = make_destination(options);
    if (!destination)
        return std::move(destination).error();
    return std::unique_ptr<Publisher>(
        new DirectPublisher(std::move(*destination), options.embeddings));
}

} // namespace sphere
