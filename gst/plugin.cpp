// SPDX-License-Identifier: MIT
// Entry point of the plugin: registers the elements and joins the core's log to GStreamer's.
#include "core/base/log.h"
#include "gst/base/guard.h"
#include "gst/elements/elements.h"

#include <gst/gst.h>

GST_DEBUG_CATEGORY(gst_sphere_debug);
#define GST_CAT_DEFAULT gst_sphere_debug

static void log_to_gst(sphere::LogLevel level, std::string_view message) {
    GstDebugLevel gst_level = GST_LEVEL_DEBUG;
    switch (level) {
    case sphere::LogLevel::Error:
        gst_level = GST_LEVEL_ERROR;
        break;
    case sphere::LogLevel::Warning:
        gst_level = GST_LEVEL_WARNING;
        break;
    case sphere::LogLevel::Info:
        gst_level = GST_LEVEL_INFO;
        break;
    case sphere::LogLevel::Debug:
        break;
    }
    GST_CAT_LEVEL_LOG(GST_CAT_DEFAULT, gst_level, nullptr, "%.*s",
                      static_cast<int>(message.size()), message.data());
}

static gboolean plugin_init(GstPlugin *plugin) {
    GST_DEBUG_CATEGORY_INIT(gst_sphere_debug, "sphere", 0, "face recognition");
    sphere::set_log_sink(log_to_gst);
    gboolean ok = TRUE;
    ok &= GST_ELEMENT_REGISTER(spheredetect, plugin);
    ok &= GST_ELEMENT_REGISTER(spheretrack, plugin);
    ok &= GST_ELEMENT_REGISTER(spherealign, plugin);
    ok &= GST_ELEMENT_REGISTER(sphereembed, plugin);
    ok &= GST_ELEMENT_REGISTER(spherematch, plugin);
    ok &= GST_ELEMENT_REGISTER(sphereattributes, plugin);
    ok &= GST_ELEMENT_REGISTER(sphereoverlay, plugin);
    ok &= GST_ELEMENT_REGISTER(sphereredact, plugin);
    ok &= GST_ELEMENT_REGISTER(spherepublish, plugin);
    ok &= GST_ELEMENT_REGISTER(spherebin, plugin);
    ok &= GST_ELEMENT_REGISTER(spheresidecar, plugin);
    ok &= GST_ELEMENT_REGISTER(sphereklvextract, plugin);
    ok &= GST_ELEMENT_REGISTER(sphereklvcombine, plugin);
    return ok;
}

#ifndef PACKAGE
#define PACKAGE "gst-sphere"
#endif

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, sphere,
                  "Face detection, alignment, embedding and matching on video buffers",
                  plugin_init, SPHERE_VERSION, "MIT/X11", "gst-sphere",
                  "https://gst-sphere.org/")
