// SPDX-License-Identifier: MIT
// What a spherepublish is made of, for the files that it is written in.
#pragma once

#include "core/publish/publish_queue.h"
#include "gst/base/track_store.h"
#include "gst/elements/presence.h"

#include <map>
#include <memory>
#include <mutex>

namespace sphere::gst {

/// The order is the API: add at the end.
enum class PublishMode : std::uint8_t { Frames, Events };
enum class PublishLeaky : std::uint8_t { Auto, No, Upstream, Downstream };

struct PublishSettings {
    PublishOptions options;
    PublishMode mode = PublishMode::Frames;
    PublishLeaky leaky = PublishLeaky::Auto;
    guint max_queued = 1000;
    guint drain_timeout_ms = 3000;
    guint presence_timeout_ms = 2000;
    bool best_shot = false;
    std::string spill_directory; ///< empty: the default one
    guint64 spill_max_bytes = guint64{64} << 20;
};

/// The best picture of each person or track in view, where spheretrack keeps none.
class BestShots {
  public:
    void offer(const Face &face, const TrackSighting &sighting);
    /// Null where there is none.
    std::shared_ptr<const Image> of(const PresenceEvent &event) const;
    void forget(const PresenceEvent &event);
    void clear();
    /// spheretrack's; null keeps the one of before, which a frame without faces does not carry.
    void set_tracks(std::shared_ptr<TrackStore> tracks);

  private:
    struct Shot {
        float quality = -1;
        std::shared_ptr<const Image> crop;
    };
    std::map<std::string, Shot> shots_;
    std::shared_ptr<TrackStore> tracks_;
};

struct PublishState {
    std::mutex mutex; ///< guards settings
    PublishSettings settings;

    // Set and taken away while no buffer flows.
    std::unique_ptr<Publisher> publisher; ///< null: queue
    std::unique_ptr<PublishQueue> queue;  ///< null: publisher

    // The streaming thread's.
    PublishMode mode = PublishMode::Frames;
    FrameRecord record;
    guint64 sent = 0; ///< without a queue
    Presence presence;
    std::vector<PresenceEvent> events;
    BestShots shots;
};

void install_publish_properties(GObjectClass *klass);
void set_publish_property(GObject *object, PublishState &state, guint id, const GValue *value,
                          GParamSpec *pspec);
void get_publish_property(GObject *object, PublishState &state, guint id, GValue *value,
                          GParamSpec *pspec);

/// The publisher that the settings come to. Its news go to the bus and to `stats`.
Result<void> open_publisher(GstElement *element, PublishState &state,
                            const PublishSettings &settings);

} // namespace sphere::gst

GType gst_sphere_publish_mode_get_type(void);
GType gst_sphere_publish_leaky_get_type(void);
