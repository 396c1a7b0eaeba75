// SPDX-License-Identifier: MIT
// Whether a tracked face needs an inference, or takes the embedding that its track has.
#pragma once

#include "gst/base/track_store.h"

#include <gst/sphere/gstspheremeta.h>

#include <cstdint>

namespace sphere::gst {

enum class TrackedAnswer : std::uint8_t {
    Embed, ///< an inference, please
    Taken, ///< the face has its track's embedding now
    Left,  ///< likewise, but it would have been worth an inference
    Wait,  ///< its track has none, and there is no time for it in this frame
};

struct TrackedQuestion {
    std::uint64_t frame = 0;
    EmbedPolicy policy;
    bool behind = false;     ///< the stream is late: only what cannot wait
    bool first_embed = true; ///< no face of this frame is to be embedded yet
};

/// The quality that spherealign found, or 0.
float quality_of(const GstSphereFace *face);

/// For face `index` of `meta`, with a crop for the model of `stamp`.
TrackedAnswer ask_track(const TrackStore &tracks, const EmbeddingStamp &stamp,
                        const TrackedQuestion &question, GstSphereFaceMeta *meta, guint index);

} // namespace sphere::gst
