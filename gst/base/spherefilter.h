/* SPDX-License-Identifier: MIT
 * GstSphereFilter: what all elements of the road share. A GstBaseTransform that works in place,
 * never copies pixels, keeps `stats`, and lets no exception out. */
#pragma once

#include "gst/base/guard.h"
#include "gst/base/stats.h"

#include <gst/base/gstbasetransform.h>
#include <gst/sphere/gstspheremeta.h>
#include <gst/video/video.h>

#define GST_TYPE_SPHERE_FILTER (gst_sphere_filter_get_type())
#define GST_SPHERE_FILTER(obj)                                                                 \
    (G_TYPE_CHECK_INSTANCE_CAST((obj), GST_TYPE_SPHERE_FILTER, GstSphereFilter))
#define GST_SPHERE_FILTER_GET_CLASS(obj)                                                       \
    (G_TYPE_INSTANCE_GET_CLASS((obj), GST_TYPE_SPHERE_FILTER, GstSphereFilterClass))
#define GST_SPHERE_FILTER_CLASS(klass)                                                         \
    (G_TYPE_CHECK_CLASS_CAST((klass), GST_TYPE_SPHERE_FILTER, GstSphereFilterClass))

typedef struct _GstSphereFilter {
    GstBaseTransform parent;
    /* Streaming thread only. Valid after the first caps. */
    GstVideoInfo info;
    sphere::gst::Stats *stats;
} GstSphereFilter;

/* Virtual functions; all optional but process. `open` and `close` bracket READY..PAUSED;
 * `prepare` and `dismiss` bracket NULL..READY, for what may be loaded in other threads until
 * `open`; `process` works on a writable buffer in the streaming thread; `flush` at flushes,
 * segments and EOS. An Error from open() or set_info() is posted once on the bus; process()
 * posts its own where it returns GST_FLOW_ERROR. */
typedef struct _GstSphereFilterClass {
    GstBaseTransformClass parent_class;
    void (*prepare)(GstSphereFilter *filter);
    void (*dismiss)(GstSphereFilter *filter);
    sphere::Result<void> (*open)(GstSphereFilter *filter);
    void (*close)(GstSphereFilter *filter);
    sphere::Result<void> (*set_info)(GstSphereFilter *filter, const GstVideoInfo *info);
    GstFlowReturn (*process)(GstSphereFilter *filter, GstBuffer *buffer);
    void (*flush)(GstSphereFilter *filter, GstEvent *event);
} GstSphereFilterClass;

GType gst_sphere_filter_get_type(void);

/* Adds always pads: the road's raw formats in system memory, or any raw video for elements that
 * do not look at pixels. Call from class_init. */
void gst_sphere_filter_class_add_pads(GstElementClass *klass, gboolean any_memory);
