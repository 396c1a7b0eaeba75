// SPDX-License-Identifier: MIT
// Enumerations of properties that several elements have.
#pragma once

#include "core/engine/engine.h"

#include <glib-object.h>

/* The order is the API: add at the end. */
typedef enum {
    GST_SPHERE_ENGINE_AUTO,
    GST_SPHERE_ENGINE_OPENCV,
    GST_SPHERE_ENGINE_ONEDNN,
    GST_SPHERE_ENGINE_ONNXRUNTIME,
    GST_SPHERE_ENGINE_CUDA,
    GST_SPHERE_ENGINE_FAKE,
} GstSphereEngine;

typedef enum {
    GST_SPHERE_PRECISION_AUTO,
    GST_SPHERE_PRECISION_FP32,
    GST_SPHERE_PRECISION_BF16,
    GST_SPHERE_PRECISION_INT8,
} GstSpherePrecision;

typedef enum {
    GST_SPHERE_FLIP_DEFAULT,
    GST_SPHERE_FLIP_NONE,
    GST_SPHERE_FLIP_CONCAT,
    GST_SPHERE_FLIP_SUM,
} GstSphereFlip;

typedef enum {
    GST_SPHERE_METRIC_AUTO,
    GST_SPHERE_METRIC_COSINE,
    GST_SPHERE_METRIC_EUCLIDEAN,
} GstSphereMetric;

typedef enum {
    GST_SPHERE_INDEX_AUTO,
    GST_SPHERE_INDEX_EXACT,
    GST_SPHERE_INDEX_EXACT_BF16,
    GST_SPHERE_INDEX_EXACT_INT8,
    GST_SPHERE_INDEX_HNSW,
    GST_SPHERE_INDEX_FAISS,
    GST_SPHERE_INDEX_PGVECTOR,
} GstSphereIndex;

typedef enum {
    GST_SPHERE_REDACT_BLUR,
    GST_SPHERE_REDACT_PIXELATE,
    GST_SPHERE_REDACT_FILL,
    GST_SPHERE_REDACT_IMAGE,
} GstSphereRedactMethod;

typedef enum {
    GST_SPHERE_REDACT_ELLIPSE,
    GST_SPHERE_REDACT_BOX,
} GstSphereRedactShape;

GType gst_sphere_engine_get_type(void);
GType gst_sphere_precision_get_type(void);
GType gst_sphere_flip_get_type(void);
GType gst_sphere_metric_get_type(void);
GType gst_sphere_index_get_type(void);
GType gst_sphere_redact_method_get_type(void);
GType gst_sphere_redact_shape_get_type(void);

namespace sphere::gst {

/// The nick of an enumeration's value, e.g. "opencv".
const char *enum_nick(GType type, gint value);

} // namespace sphere::gst
