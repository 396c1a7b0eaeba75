// SPDX-License-Identifier: MIT
#include "gst/base/spherefilter.h"

#include "gst/base/frame.h"

#include <chrono>

#define GST_CAT_DEFAULT gst_sphere_debug

enum { PROP_0, PROP_STATS };

G_DEFINE_ABSTRACT_TYPE(GstSphereFilter, gst_sphere_filter, GST_TYPE_BASE_TRANSFORM)
#define parent_class gst_sphere_filter_parent_class

using sphere::Result;
using sphere::gst::guarded;

static void gst_sphere_filter_get_property(GObject *object, guint id, GValue *value,
                                           GParamSpec *pspec) {
    if (id != PROP_STATS) {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        return;
    }
    g_value_take_boxed(value, GST_SPHERE_FILTER(object)->stats->to_structure());
}

static void gst_sphere_filter_finalize(GObject *object) {
    delete GST_SPHERE_FILTER(object)->stats;
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static GstStateChangeReturn gst_sphere_filter_change_state(GstElement *element,
                                                           GstStateChange transition) {
    auto *self = GST_SPHERE_FILTER(element);
    auto *klass = GST_SPHERE_FILTER_GET_CLASS(self);
    if (transition == GST_STATE_CHANGE_NULL_TO_READY && klass->prepare != nullptr)
        sphere::gst::guarded_void(self, [&] { klass->prepare(self); });
    const auto result = GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_READY_TO_NULL && klass->dismiss != nullptr)
        sphere::gst::guarded_void(self, [&] { klass->dismiss(self); });
    return result;
}

static gboolean gst_sphere_filter_start(GstBaseTransform *base) {
    auto *self = GST_SPHERE_FILTER(base);
    return guarded(self, gboolean{FALSE}, [&]() -> gboolean {
        self->stats->reset();
        auto *klass = GST_SPHERE_FILTER_GET_CLASS(self);
        if (klass->open == nullptr)
            return TRUE;
        if (const Result<void> opened = klass->open(self); !opened) {
            sphere::gst::post_error(GST_ELEMENT_CAST(self), opened.error());
            return FALSE;
        }
        return TRUE;
    });
}

static gboolean gst_sphere_filter_stop(GstBaseTransform *base) {
    auto *self = GST_SPHERE_FILTER(base);
    return guarded(self, gboolean{FALSE}, [&]() -> gboolean {
        if (auto *klass = GST_SPHERE_FILTER_GET_CLASS(self); klass->close != nullptr)
            klass->close(self);
        return TRUE;
    });
}

static gboolean gst_sphere_filter_set_caps(GstBaseTransform *base, GstCaps *incaps, GstCaps *) {
    auto *self = GST_SPHERE_FILTER(base);
    return guarded(self, gboolean{FALSE}, [&]() -> gboolean {
        if (gst_video_info_from_caps(&self->info, incaps) == FALSE) {
            gchar *text = gst_caps_to_string(incaps);
            sphere::gst::post_error(GST_ELEMENT_CAST(self),
                                    sphere::fail(sphere::Errc::InvalidArgument,
                                                 "These caps are no raw video: ", text));
            g_free(text);
            return FALSE;
        }
        auto *klass = GST_SPHERE_FILTER_GET_CLASS(self);
        if (klass->set_info == nullptr)
            return TRUE;
        if (const Result<void> set = klass->set_info(self, &self->info); !set) {
            sphere::gst::post_error(GST_ELEMENT_CAST(self), set.error());
            return FALSE;
        }
        return TRUE;
    });
}

static GstFlowReturn gst_sphere_filter_transform_ip(GstBaseTransform *base, GstBuffer *buffer) {
    auto *self = GST_SPHERE_FILTER(base);
    return guarded(self, GST_FLOW_ERROR, [&] {
        if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP) &&
            gst_buffer_get_size(buffer) == 0)
            return GST_FLOW_OK; // a gap has no picture to look at
        const auto begin = std::chrono::steady_clock::now();
        const GstFlowReturn flow = GST_SPHERE_FILTER_GET_CLASS(self)->process(self, buffer);
        self->stats->add_frame(std::chrono::steady_clock::now() - begin);
        return flow;
    });
}

static gboolean gst_sphere_filter_sink_event(GstBaseTransform *base, GstEvent *event) {
    auto *self = GST_SPHERE_FILTER(base);
    const GstEventType type = GST_EVENT_TYPE(event);
    if (type == GST_EVENT_FLUSH_STOP || type == GST_EVENT_SEGMENT || type == GST_EVENT_EOS)
        sphere::gst::guarded_void(self, [&] {
            if (auto *klass = GST_SPHERE_FILTER_GET_CLASS(self); klass->flush != nullptr)
                klass->flush(self, event);
        });
    return GST_BASE_TRANSFORM_CLASS(parent_class)->sink_event(base, event);
}

// The buffer passes through as it is, so whoever is downstream decides what memory it wants.
static gboolean gst_sphere_filter_propose_allocation(GstBaseTransform *base, GstQuery *,
                                                     GstQuery *query) {
    return gst_pad_peer_query(GST_BASE_TRANSFORM_SRC_PAD(base), query);
}

// Every meta stays: pixels and geometry do not change.
static gboolean gst_sphere_filter_transform_meta(GstBaseTransform *, GstBuffer *, GstMeta *,
                                                 GstBuffer *) {
    return TRUE;
}

static void gst_sphere_filter_class_init(GstSphereFilterClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *base_class = GST_BASE_TRANSFORM_CLASS(klass);
    object_class->get_property = gst_sphere_filter_get_property;
    object_class->finalize = gst_sphere_filter_finalize;
    GST_ELEMENT_CLASS(klass)->change_state = gst_sphere_filter_change_state;
    base_class->start = gst_sphere_filter_start;
    base_class->stop = gst_sphere_filter_stop;
    base_class->set_caps = gst_sphere_filter_set_caps;
    base_class->transform_ip = gst_sphere_filter_transform_ip;
    base_class->sink_event = gst_sphere_filter_sink_event;
    base_class->propose_allocation = gst_sphere_filter_propose_allocation;
    base_class->transform_meta = gst_sphere_filter_transform_meta;
    base_class->transform_ip_on_passthrough = FALSE;

    g_object_class_install_property(
        object_class, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "frames, faces, skipped, errors, time-mean-ns, time-p99-ns, "
            "inference-mean-ns, and a count for each reason",
            GST_TYPE_STRUCTURE,
            static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
    gst_type_mark_as_plugin_api(GST_TYPE_SPHERE_FILTER, static_cast<GstPluginAPIFlags>(0));
}

static void gst_sphere_filter_init(GstSphereFilter *self) {
    self->stats = new sphere::gst::Stats;
    gst_video_info_init(&self->info);
    gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
}

void gst_sphere_filter_class_add_pads(GstElementClass *klass, gboolean any_memory) {
    GstCaps *caps = any_memory ? gst_caps_from_string("video/x-raw(ANY)")
                               : gst_caps_from_string(GST_VIDEO_CAPS_MAKE(GST_SPHERE_FORMATS));
    gst_element_class_add_pad_template(
        klass, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
    gst_element_class_add_pad_template(
        klass, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
}
