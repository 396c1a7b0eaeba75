// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spherebin
 * @title: spherebin
 *
 * The whole road in one element: spheredetect, spheretrack, spherealign, sphereembed and
 * spherematch with defaults for live video. The children are named detect, track, align, embed
 * and match (#GstChildProxy); their properties are the bin's as well.
 *
 * |[
 * gst-launch-1.0 rtspsrc location=rtsp://camera/stream ! decodebin ! spherebin
 * gallery=people.db ! sphereoverlay ! videoconvert ! autovideosink
 * ]|
 */
#include "core/model/store.h"
#include "gst/base/frame.h"
#include "gst/base/guard.h"
#include "gst/elements/elements.h"
#include "gst/elements/proxied_properties.h"

#include <gst/video/video.h>

#define GST_CAT_DEFAULT gst_sphere_debug

using sphere::gst::ProxiedProperty;

namespace {

const std::vector<sphere::gst::ProxiedChild> kChildren = {{"detect", "spheredetect"},
                                                          {"track", "spheretrack"},
                                                          {"align", "spherealign"},
                                                          {"embed", "sphereembed"},
                                                          {"match", "spherematch"}};

// A head moves little in five frames, and spheretrack carries faces over those between.
const std::vector<sphere::gst::ProxiedDefault> kDefaults = {
    {"detect", "inference-interval", 5}};

enum { PROP_0, PROP_FIRST };

std::vector<ProxiedProperty> &proxied_properties() {
    static std::vector<ProxiedProperty> properties;
    return properties;
}

guint signal_match = 0;

} // namespace

typedef struct {
    GstBin parent;
    gboolean chose_landmarks; /* detect's landmark-model is ours, not the application's */
} GstSphereBin;
typedef struct {
    GstBinClass parent_class;
} GstSphereBinClass;

GType gst_sphere_bin_get_type(void);
G_DEFINE_TYPE(GstSphereBin, gst_sphere_bin, GST_TYPE_BIN)
GST_ELEMENT_REGISTER_DEFINE(spherebin, "spherebin", GST_RANK_NONE, gst_sphere_bin_get_type())

// The child's element and property of a property of ours; the caller unrefs the element.
static GstElement *child_of(GObject *object, guint id, const ProxiedProperty **property) {
    const auto &proxied = proxied_properties();
    if (id < PROP_FIRST || id - PROP_FIRST >= proxied.size())
        return nullptr;
    *property = &proxied[id - PROP_FIRST];
    return gst_bin_get_by_name(GST_BIN(object), (*property)->child.c_str());
}

static void gst_sphere_bin_set_property(GObject *object, guint id, const GValue *value,
                                        GParamSpec *pspec) {
    const ProxiedProperty *property = nullptr;
    GstElement *child = child_of(object, id, &property);
    if (child == nullptr) {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        return;
    }
    g_object_set_property(G_OBJECT(child), property->property.c_str(), value);
    gst_object_unref(child);
}

static void gst_sphere_bin_get_property(GObject *object, guint id, GValue *value,
                                        GParamSpec *pspec) {
    const ProxiedProperty *property = nullptr;
    GstElement *child = child_of(object, id, &property);
    if (child == nullptr) {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        return;
    }
    g_object_get_property(G_OBJECT(child), property->property.c_str(), value);
    gst_object_unref(child);
}

static void forward_match(GstElement *, GstStructure *event, gpointer bin) {
    g_signal_emit(bin, signal_match, 0, event);
}

// spherematch's action signals, which the bin has as well.
static gboolean act(GstElement *bin, const char *signal, const gchar *first,
                    const gchar *second) {
    gboolean done = FALSE;
    GstElement *match = gst_bin_get_by_name(GST_BIN_CAST(bin), "match");
    if (match == nullptr)
        return FALSE;
    if (second != nullptr)
        g_signal_emit_by_name(match, signal, first, second, &done);
    else
        g_signal_emit_by_name(match, signal, first, &done);
    gst_object_unref(match);
    return done;
}

static gboolean gst_sphere_bin_enrol(GstElement *bin, const gchar *id, gint64 track) {
    gboolean done = FALSE;
    GstElement *match = gst_bin_get_by_name(GST_BIN_CAST(bin), "match");
    if (match == nullptr)
        return FALSE;
    g_signal_emit_by_name(match, "enrol", id, track, &done);
    gst_object_unref(match);
    return done;
}

static gboolean gst_sphere_bin_forget(GstElement *bin, const gchar *id) {
    return act(bin, "forget", id, nullptr);
}

static gboolean gst_sphere_bin_promote(GstElement *bin, const gchar *stranger,
                                       const gchar *id) {
    return act(bin, "promote", stranger, id != nullptr ? id : "");
}

static void install_actions(GstSphereBinClass *klass) {
    constexpr auto flags = static_cast<GSignalFlags>(G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION);
    const GType type = G_TYPE_FROM_CLASS(klass);
    g_signal_new_class_handler("enrol", type, flags, G_CALLBACK(gst_sphere_bin_enrol), nullptr,
                               nullptr, nullptr, G_TYPE_BOOLEAN, 2, G_TYPE_STRING,
                               G_TYPE_INT64);
    g_signal_new_class_handler("forget", type, flags, G_CALLBACK(gst_sphere_bin_forget),
                               nullptr, nullptr, nullptr, G_TYPE_BOOLEAN, 1, G_TYPE_STRING);
    g_signal_new_class_handler("promote", type, flags, G_CALLBACK(gst_sphere_bin_promote),
                               nullptr, nullptr, nullptr, G_TYPE_BOOLEAN, 2, G_TYPE_STRING,
                               G_TYPE_STRING);
}

// The network that finds faces and the one that knows them work at the same time, each on a
// frame of its own. No more frames wait than that takes.
static GstElement *make_queue() {
    GstElement *queue = gst_element_factory_make("queue", "queue");
    if (queue != nullptr)
        g_object_set(queue, "max-size-buffers", 2U, "max-size-bytes", 0U, "max-size-time",
                     G_GUINT64_CONSTANT(0), "silent", TRUE, nullptr);
    return queue;
}

static void add_ghost_pad(GstElement *bin, GstElement *child, const char *name) {
    GstPad *target = gst_element_get_static_pad(child, name);
    GstPadTemplate *pad_template =
        gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(bin), name);
    gst_element_add_pad(bin, gst_ghost_pad_new_from_template(name, target, pad_template));
    gst_object_unref(target);
}

// Adds `element` behind `previous`; returns the one that is last then.
static GstElement *append_child(GstSphereBin *self, GstElement *previous, GstElement *element) {
    if (element == nullptr) // not in the registry: the bin says so by having no such child
        return previous;
    gst_bin_add(GST_BIN(self), element);
    if (previous != nullptr && gst_element_link(previous, element) == FALSE)
        GST_ERROR_OBJECT(self, "%s and %s do not link", GST_OBJECT_NAME(previous),
                         GST_OBJECT_NAME(element));
    return element;
}

static GstElement *make_child(GstSphereBin *self, const sphere::gst::ProxiedChild &child) {
    GstElement *element = gst_element_factory_make(child.factory, child.name);
    if (element == nullptr)
        return nullptr;
    for (const auto &own : kDefaults)
        if (g_str_equal(child.name, own.child))
            g_object_set(element, own.property, own.value, nullptr);
    if (g_str_equal(child.name, "match"))
        g_signal_connect(element, "match", G_CALLBACK(forward_match), self);
    return element;
}

// The landmark model that `model` recognises best by; empty where it names none that is
// installed. What else is wrong with `model` is for sphereembed to say.
static std::string landmarks_for(const std::string &model) {
    const auto store = sphere::ModelStore::from_environment();
    const auto recogniser = store.resolve(model, sphere::ModelTask::Embed);
    if (!recogniser || recogniser->descriptor.landmark_model.empty())
        return {};
    const auto landmarks = store.find(recogniser->descriptor.landmark_model);
    return landmarks && store.installed(*landmarks) ? landmarks->name : std::string();
}

static std::string string_of(GstElement *element, const char *property) {
    gchar *text = nullptr;
    g_object_get(element, property, &text, nullptr);
    std::string value = text != nullptr ? text : "";
    g_free(text);
    return value;
}

// Photographs for a gallery are aligned by these landmarks too.
static void choose_landmarks(GstSphereBin *self) {
    GstElement *detect = gst_bin_get_by_name(GST_BIN(self), "detect");
    GstElement *embed = gst_bin_get_by_name(GST_BIN(self), "embed");
    if (detect != nullptr && embed != nullptr && string_of(detect, "landmark-model").empty()) {
        const std::string chosen = landmarks_for(string_of(embed, "model"));
        if (!chosen.empty()) {
            g_object_set(detect, "landmark-model", chosen.c_str(), nullptr);
            self->chose_landmarks = TRUE;
        }
    }
    gst_clear_object(&detect);
    gst_clear_object(&embed);
}

// Another model may be set before the next start.
static void forget_landmarks(GstSphereBin *self) {
    GstElement *detect = gst_bin_get_by_name(GST_BIN(self), "detect");
    if (detect != nullptr && self->chose_landmarks)
        g_object_set(detect, "landmark-model", "", nullptr);
    self->chose_landmarks = FALSE;
    gst_clear_object(&detect);
}

static GstStateChangeReturn gst_sphere_bin_change_state(GstElement *element,
                                                        GstStateChange transition) {
    auto *self = reinterpret_cast<GstSphereBin *>(element);
    if (transition == GST_STATE_CHANGE_NULL_TO_READY)
        sphere::gst::guarded_void(element, [&] { choose_landmarks(self); });
    const auto result =
        GST_ELEMENT_CLASS(gst_sphere_bin_parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_READY_TO_NULL ||
        (transition == GST_STATE_CHANGE_NULL_TO_READY && result == GST_STATE_CHANGE_FAILURE))
        sphere::gst::guarded_void(element, [&] { forget_landmarks(self); });
    return result;
}

static void gst_sphere_bin_init(GstSphereBin *self) {
    GstElement *first = nullptr, *last = nullptr;
    for (const auto &child : kChildren) {
        last = append_child(self, last, make_child(self, child));
        if (first == nullptr)
            first = last;
        if (g_str_equal(child.name, "track"))
            last = append_child(self, last, make_queue());
    }
    if (first == nullptr)
        return;
    add_ghost_pad(GST_ELEMENT(self), first, "sink");
    add_ghost_pad(GST_ELEMENT(self), last, "src");
}

static void gst_sphere_bin_class_init(GstSphereBinClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    object_class->set_property = gst_sphere_bin_set_property;
    object_class->get_property = gst_sphere_bin_get_property;
    element_class->change_state = gst_sphere_bin_change_state;
    sphere::gst::guarded_void(nullptr, [&] {
        proxied_properties() = sphere::gst::install_proxied_properties(object_class, PROP_FIRST,
                                                                       kChildren, kDefaults);
    });
    /**
     * GstSphereBin::match:
     * @event: what the bus message sphere-match holds
     *
     * spherematch's signal. Emitted in the streaming thread.
     */
    signal_match =
        g_signal_new("match", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                     nullptr, G_TYPE_NONE, 1, GST_TYPE_STRUCTURE | G_SIGNAL_TYPE_STATIC_SCOPE);
    install_actions(klass);
    GstCaps *caps = gst_caps_from_string(GST_VIDEO_CAPS_MAKE(GST_SPHERE_FORMATS));
    gst_element_class_add_pad_template(
        element_class, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
    gst_element_class_add_pad_template(
        element_class, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
    gst_element_class_set_static_metadata(element_class, "Face recognition",
                                          "Filter/Bin/Analyzer/Video",
                                          "The whole road in one element: finds, tracks and "
                                          "recognises faces",
                                          "the gst-sphere authors");
}
