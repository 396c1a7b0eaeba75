// SPDX-License-Identifier: MIT
#include "gst/base/guard.h"

namespace sphere::gst {

GstErrorCode gst_error_code(Errc code) {
    switch (code) {
    case Errc::InvalidArgument:
        return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS};
    case Errc::NotFound:
        return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND};
    case Errc::Permission:
        return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED};
    case Errc::Corrupt:
        return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ};
    case Errc::Unsupported:
        return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS};
    case Errc::Mismatch:
        return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS};
    case Errc::Busy:
        return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY};
    case Errc::NoSpace:
        return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT};
    case Errc::Io:
        return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED};
    case Errc::Engine:
        return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED};
    case Errc::Internal:
        return {GST_CORE_ERROR, GST_CORE_ERROR_FAILED};
    }
    return {GST_CORE_ERROR, GST_CORE_ERROR_FAILED};
}

static void post(GstElement *element, GstMessageType type, const Error &error) {
    const GstErrorCode code = gst_error_code(error.code);
    gst_element_message_full(element, type, code.domain, code.code,
                             g_strdup(error.message.c_str()), g_strdup(errc_name(error.code)),
                             __FILE__, GST_FUNCTION, __LINE__);
}

void post_error(GstElement *element, const Error &error) {
    post(element, GST_MESSAGE_ERROR, error);
}

void post_warning(GstElement *element, const Error &error) {
    post(element, GST_MESSAGE_WARNING, error);
}

void post_exception(GstElement *element, const char *what) noexcept {
    gst_element_message_full(element, GST_MESSAGE_ERROR, GST_CORE_ERROR, GST_CORE_ERROR_FAILED,
                             g_strdup("An internal error stopped the element."), g_strdup(what),
                             __FILE__, GST_FUNCTION, __LINE__);
}

} // namespace sphere::gst
