// SPDX-License-Identifier: MIT
// The border between the core and GStreamer: errors become element errors, exceptions stop
// here.
#pragma once

#include "core/base/result.h"

#include <gst/gst.h>

#include <exception>
#include <utility>

GST_DEBUG_CATEGORY_EXTERN(gst_sphere_debug);

namespace sphere::gst {

/// Domain and code of GStreamer's that stand for `code` (docs/architecture.md has the table).
struct GstErrorCode {
    GQuark domain;
    gint code;
};
GstErrorCode gst_error_code(Errc code);

/// Posts exactly one error message on the bus for `error`.
void post_error(GstElement *element, const Error &error);

/// Posts a warning message on the bus.
void post_warning(GstElement *element, const Error &error);

/// Reports an exception that reached the border, a bug of ours or memory that ran out.
void post_exception(GstElement *element, const char *what) noexcept;

/// Runs `body` and returns what it returns; an exception becomes an element error and
/// `on_exception`.
template <typename Value, typename Body>
Value guarded(gpointer element, Value on_exception, Body &&body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (const std::exception &exception) {
        post_exception(GST_ELEMENT_CAST(element), exception.what());
    } catch (...) {
        post_exception(GST_ELEMENT_CAST(element), "unknown exception");
    }
    return on_exception;
}

/// The same for functions without a value.
template <typename Body> void guarded_void(gpointer element, Body &&body) noexcept {
    guarded(element, 0, [&] {
        body();
        return 0;
    });
}

} // namespace sphere::gst
