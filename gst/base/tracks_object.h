// SPDX-License-Identifier: MIT
// The track store as the faces' metadata carries it.
#pragma once

#include "gst/base/track_store.h"

#include <gst/sphere/gstspheremeta.h>

#include <memory>

namespace sphere::gst {

/// A GObject that holds a store, for gst_sphere_face_meta_set_tracks(). Caller unrefs.
GObject *new_tracks_object(std::shared_ptr<TrackStore> store);

/// The store that the meta carries, or null.
std::shared_ptr<TrackStore> tracks_of(const GstSphereFaceMeta *meta);

} // namespace sphere::gst
