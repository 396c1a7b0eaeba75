// SPDX-License-Identifier: MIT
// Elements by name and properties by text, with errors that say what is missing.
#pragma once

#include "core/base/result.h"
#include "pipelines/camera/camera_config.h"

#include <gst/gst.h>

#include <string>

namespace sphere::camera {

/// A new element in `bin`, which owns it. Errors: NotFound, with the plugin that may be
/// missing.
Result<GstElement *> add_element(GstBin *bin, const char *factory, const char *name);

/// Sets a property from text. Errors: InvalidArgument (there is none of that name, or `value`
/// is none of its values).
Result<void> set_property(GstElement *element, const std::string &property,
                          const std::string &value);

struct Source {
    GstElement *element = nullptr; ///< floating; its pads may come later
    bool live = false;             ///< its end is a failure, and it must not be held up
};

/// The source of a camera's URI, with its settings. Errors: InvalidArgument, NotFound.
Result<Source> make_source(const CameraConfig &config);

} // namespace sphere::camera
