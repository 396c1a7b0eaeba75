// SPDX-License-Identifier: MIT
// The branch that makes JPEG pictures with boxes and names, while somebody watches.
#pragma once

#include "core/base/result.h"
#include "pipelines/camera/camera_config.h"
#include "pipelines/camera/stream_state.h"

#include <gst/gst.h>

namespace sphere::camera {

/// Behind `tee`, which has the analysed frames. `stream` outlives the pipeline. Errors:
/// NotFound.
Result<void> add_live_view(GstBin *bin, GstElement *tee, const CameraConfig &config,
                           StreamState &stream);

} // namespace sphere::camera
