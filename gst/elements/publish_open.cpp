// SPDX-License-Identifier: MIT
// From spherepublish's settings to a publisher, and from its news to the bus.
#include "core/base/log.h"
#include "core/publish/location.h"
#include "core/publish/spill.h"
#include "gst/base/spherefilter.h"
#include "gst/elements/publish_state.h"

#define GST_CAT_DEFAULT gst_sphere_debug

namespace sphere::gst {
namespace {

Leaky leaky_of(PublishLeaky leaky) {
    switch (leaky) {
    case PublishLeaky::No:
        return Leaky::No;
    case PublishLeaky::Upstream:
        return Leaky::Upstream;
    case PublishLeaky::Auto:
    case PublishLeaky::Downstream:
        break;
    }
    return Leaky::Downstream;
}

void say_away(GstElement *element, const std::string &shown, const Error &error) {
    const GstErrorCode code = gst_error_code(error.code);
    gst_element_message_full_with_details(
        element, GST_MESSAGE_WARNING, code.domain, code.code,
        g_strdup_printf("Records are not delivered: %s", error.message.c_str()),
        g_strdup("It is tried again until they are."), __FILE__, GST_FUNCTION, __LINE__,
        gst_structure_new("details", "event", G_TYPE_STRING, "lost", "location", G_TYPE_STRING,
                          shown.c_str(), "reason", G_TYPE_STRING, error.message.c_str(),
                          nullptr));
}

void say_back(GstElement *element, const std::string &shown) {
    GST_ELEMENT_INFO_WITH_DETAILS(
        element, RESOURCE, WRITE, ("Records are delivered to %s again.", shown.c_str()),
        (nullptr),
        ("event", G_TYPE_STRING, "found", "location", G_TYPE_STRING, shown.c_str(), nullptr));
}

QueueListener listener_of(GstElement *element, const std::string &shown) {
    Stats *stats = GST_SPHERE_FILTER(element)->stats;
    QueueListener listener;
    listener.away = [element, shown](const Error &error) { say_away(element, shown, error); };
    listener.back = [element, shown] { say_back(element, shown); };
    listener.rejected = [element, stats](const Error &error) {
        stats->add_error();
        post_warning(element, error);
    };
    listener.counts = [stats](const PublishCounts &counts) {
        stats->set_gauge("queued", counts.queued);
        stats->set_gauge("sent", counts.sent);
        stats->set_gauge("dropped", counts.dropped);
        stats->set_gauge("failed", counts.failed);
        stats->set_gauge("spilled", counts.spilled);
        stats->set_gauge("spill-waiting", counts.spill_waiting);
        stats->set_gauge("away", counts.away ? 1 : 0);
    };
    return listener;
}

Result<void> open_queue(GstElement *element, PublishState &state,
                        const PublishSettings &settings, const PublishLocation &location) {
    QueueOptions options;
    options.leaky = leaky_of(settings.leaky);
    options.max_queued = settings.max_queued;
    options.drain_timeout = std::chrono::milliseconds(settings.drain_timeout_ms);
    options.number_records = !location.is_local();
    const bool own_directory = settings.spill_directory.empty();
    if (!location.is_local()) { // a disk that is full is no place to keep records for later
        options.spill_directory =
            own_directory ? default_spill_directory() : settings.spill_directory;
        options.spill_max_bytes = settings.spill_max_bytes;
    }
    auto listener = listener_of(element, location.shown);
    auto queue = make_publish_queue(settings.options, options, listener);
    // The default is a convenience: where it cannot be had, memory is what there is.
    if (!queue && own_directory && !options.spill_directory.empty()) {
        const std::string why = queue.error().message;
        options.spill_directory.clear();
        queue = make_publish_queue(settings.options, options, listener);
        if (queue)
            GST_WARNING_OBJECT(element, "records are not spilled to disk: %s", why.c_str());
    }
    if (!queue)
        return std::move(queue).error();
    state.queue = std::move(*queue);
    return {};
}

} // namespace

Result<void> open_publisher(GstElement *element, PublishState &state,
                            const PublishSettings &settings) {
    const auto location = parse_location(settings.options.location);
    if (!location)
        return location.error();
    if (!location->is_local() || settings.leaky != PublishLeaky::Auto) {
        PublishSettings complete = settings;
        complete.options.events = settings.mode == PublishMode::Events;
        return open_queue(element, state, complete, *location);
    }
    auto publisher = make_publisher(settings.options);
    if (!publisher)
        return std::move(publisher).error();
    state.publisher = std::move(*publisher);
    return {};
}

} // namespace sphere::gst
