// SPDX-License-Identifier: MIT
#include "pipelines/camera/elements.h"

#include "pipelines/camera/gst_ptr.h"

namespace sphere::camera {
namespace {

constexpr std::string_view kTestScheme = "test:";

Error missing(const std::string &factory) {
    return fail(Errc::NotFound, "there is no element ", factory,
                ": a GStreamer plugin is not installed, or not in GST_PLUGIN_PATH");
}

bool is_rtsp(const std::string &uri) {
    return uri.starts_with("rtsp://") || uri.starts_with("rtsps://") ||
           uri.starts_with("rtspt://") || uri.starts_with("rtspu://");
}

Result<Source> make_test(const CameraConfig &config) {
    GstElement *element = gst_element_factory_make("videotestsrc", "source");
    if (element == nullptr)
        return missing("videotestsrc");
    g_object_set(element, "is-live", TRUE, nullptr);
    const std::string pattern = config.uri.substr(kTestScheme.size());
    if (!pattern.empty())
        if (const auto set = set_property(element, "pattern", pattern); !set) {
            gst_object_unref(gst_object_ref_sink(element));
            return set.error();
        }
    return Source{element, true};
}

Result<Source> make_rtsp(const CameraConfig &config) {
    GstElement *element = gst_element_factory_make("rtspsrc", "source");
    if (element == nullptr)
        return missing("rtspsrc");
    const char *protocols = config.transport == Transport::Tcp   ? "tcp"
                            : config.transport == Transport::Udp ? "udp"
                                                                 : "tcp+udp";
    gst_util_set_object_arg(G_OBJECT(element), "protocols", protocols);
    g_object_set(element, "location", config.uri.c_str(), "latency", config.latency_ms,
                 "drop-on-latency", TRUE, "tcp-timeout",
                 static_cast<guint64>(config.connect_timeout_ms) * 1000, nullptr);
    return Source{element, true};
}

Result<Source> make_file(const std::string &path) {
    GstElement *element = gst_element_factory_make("filesrc", "source");
    if (element == nullptr)
        return missing("filesrc");
    g_object_set(element, "location", path.c_str(), nullptr);
    return Source{element, false};
}

Result<Source> make_v4l2(const CameraConfig &config) {
    GstElement *element = gst_element_factory_make("v4l2src", "source");
    if (element == nullptr)
        return missing("v4l2src");
    g_object_set(element, "device", config.uri.c_str(), nullptr);
    return Source{element, true};
}

Result<Source> make_by_uri(const CameraConfig &config) {
    GError *error = nullptr;
    GstElement *element =
        gst_element_make_from_uri(GST_URI_SRC, config.uri.c_str(), "source", &error);
    if (element == nullptr) {
        const Error failure =
            fail(Errc::NotFound, "no element reads ", config.uri, ": ",
                 error != nullptr ? error->message : "its plugin is not installed");
        g_clear_error(&error);
        return failure;
    }
    return Source{element, !config.uri.starts_with("file:")};
}

Result<Source> make_plain_source(const CameraConfig &config) {
    if (config.uri.starts_with(kTestScheme))
        return make_test(config);
    if (is_rtsp(config.uri))
        return make_rtsp(config);
    if (config.uri.starts_with("/dev/video"))
        return make_v4l2(config);
    if (config.uri.find("://") == std::string::npos)
        return make_file(config.uri);
    return make_by_uri(config);
}

} // namespace

Result<GstElement *> add_element(GstBin *bin, const char *factory, const char *name) {
    GstElement *element = gst_element_factory_make(factory, name);
    if (element == nullptr)
        return missing(factory);
    if (gst_bin_add(bin, element) == FALSE)
        return fail(Errc::Internal, "there are two elements named ", name);
    return element;
}

Result<void> set_property(GstElement *element, const std::string &property,
                          const std::string &value) {
    GParamSpec *spec =
        g_object_class_find_property(G_OBJECT_GET_CLASS(element), property.c_str());
    const char *type = G_OBJECT_TYPE_NAME(element);
    if (GstElementFactory *factory = gst_element_get_factory(element))
        type = GST_OBJECT_NAME(factory);
    if (spec == nullptr || (spec->flags & G_PARAM_WRITABLE) == 0)
        return fail(Errc::InvalidArgument, type, " has no property ", property,
                    " (gst-inspect-1.0 ", type, " lists them)");
    GValue parsed = G_VALUE_INIT;
    g_value_init(&parsed, spec->value_type);
    const bool understood =
        gst_value_deserialize_with_pspec(&parsed, value.c_str(), spec) != FALSE &&
        g_param_value_validate(spec, &parsed) == FALSE; // FALSE: nothing had to be changed
    if (understood)
        g_object_set_property(G_OBJECT(element), property.c_str(), &parsed);
    g_value_unset(&parsed);
    if (!understood)
        return fail(Errc::InvalidArgument, type, " does not take ", property, "=", value,
                    " (gst-inspect-1.0 ", type, " says what it takes)");
    return {};
}

Result<Source> make_source(const CameraConfig &config) {
    auto source = make_plain_source(config);
    if (!source || (config.user.empty() && config.password.empty()))
        return source;
    GObjectClass *klass = G_OBJECT_GET_CLASS(source->element);
    if (g_object_class_find_property(klass, "user-id") == nullptr ||
        g_object_class_find_property(klass, "user-pw") == nullptr) {
        gst_object_unref(gst_object_ref_sink(source->element));
        return fail(Errc::InvalidArgument, "the source of ", config.uri,
                    " takes no user and password");
    }
    g_object_set(source->element, "user-id", config.user.c_str(), "user-pw",
                 config.password.c_str(), nullptr);
    return source;
}

} // namespace sphere::camera
