// SPDX-License-Identifier: MIT
#include "gst/base/enums.h"

static GType register_enum(gsize *once, const gchar *name, const GEnumValue *values) {
    if (g_once_init_enter(once)) {
        const GType type = g_enum_register_static(name, values);
        g_once_init_leave(once, type);
    }
    return *once;
}

GType gst_sphere_engine_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {GST_SPHERE_ENGINE_AUTO, "The best that is built in and takes the model", "auto"},
        {GST_SPHERE_ENGINE_OPENCV, "OpenCV dnn", "opencv"},
        {GST_SPHERE_ENGINE_ONEDNN, "oneDNN", "onednn"},
        {GST_SPHERE_ENGINE_ONNXRUNTIME, "ONNX Runtime", "onnxruntime"},
        {GST_SPHERE_ENGINE_CUDA, "CUDA", "cuda"},
        {GST_SPHERE_ENGINE_FAKE, "No network: numbers made of the picture, for tests", "fake"},
        {0, nullptr, nullptr},
    };
    return register_enum(&once, "GstSphereEngine", values);
}

GType gst_sphere_precision_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {GST_SPHERE_PRECISION_AUTO, "The fastest that keeps the model's accuracy", "auto"},
        {GST_SPHERE_PRECISION_FP32, "32-bit floating point", "fp32"},
        {GST_SPHERE_PRECISION_BF16, "16-bit brain floating point", "bf16"},
        {GST_SPHERE_PRECISION_INT8, "8-bit integers, calibrated", "int8"},
        {0, nullptr, nullptr},
    };
    return register_enum(&once, "GstSpherePrecision", values);
}

GType gst_sphere_flip_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {GST_SPHERE_FLIP_DEFAULT, "As the model's descriptor says", "default"},
        {GST_SPHERE_FLIP_NONE, "The crop alone", "none"},
        {GST_SPHERE_FLIP_CONCAT, "Crop and mirror image, one after the other", "concat"},
        {GST_SPHERE_FLIP_SUM, "Crop and mirror image, added", "sum"},
        {0, nullptr, nullptr},
    };
    return register_enum(&once, "GstSphereFlip", values);
}

GType gst_sphere_metric_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {GST_SPHERE_METRIC_AUTO, "As the model's descriptor says", "auto"},
        {GST_SPHERE_METRIC_COSINE, "1 - cosine", "cosine"},
        {GST_SPHERE_METRIC_EUCLIDEAN, "L2 of the raw embeddings", "euclidean"},
        {0, nullptr, nullptr},
    };
    return register_enum(&once, "GstSphereMetric", values);
}

GType gst_sphere_index_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {GST_SPHERE_INDEX_AUTO, "By the gallery's size", "auto"},
        {GST_SPHERE_INDEX_EXACT, "Scan of all rows", "exact"},
        {GST_SPHERE_INDEX_EXACT_BF16, "The same answers from a scan of 2 bytes a value",
         "exact-bf16"},
        {GST_SPHERE_INDEX_EXACT_INT8, "The same answers from a scan of 1 byte a value",
         "exact-int8"},
        {GST_SPHERE_INDEX_HNSW, "A graph of neighbours, approximate (hnswlib)", "hnsw"},
        {GST_SPHERE_INDEX_FAISS, "Faiss, flat", "faiss"},
        {GST_SPHERE_INDEX_PGVECTOR,
         "On the gallery's PostgreSQL server, which keeps the faces (pgvector), approximate",
         "pgvector"},
        {0, nullptr, nullptr},
    };
    return register_enum(&once, "GstSphereIndex", values);
}

GType gst_sphere_redact_method_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {GST_SPHERE_REDACT_BLUR, "Smooth patches", "blur"},
        {GST_SPHERE_REDACT_PIXELATE, "Squares", "pixelate"},
        {GST_SPHERE_REDACT_FILL, "One colour", "fill"},
        {GST_SPHERE_REDACT_IMAGE, "One colour, and a picture over it", "image"},
        {0, nullptr, nullptr},
    };
    return register_enum(&once, "GstSphereRedactMethod", values);
}

GType gst_sphere_redact_shape_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {GST_SPHERE_REDACT_ELLIPSE, "Ellipse in the grown box", "ellipse"},
        {GST_SPHERE_REDACT_BOX, "The grown box", "box"},
        {0, nullptr, nullptr},
    };
    return register_enum(&once, "GstSphereRedactShape", values);
}

namespace sphere::gst {

const char *enum_nick(GType type, gint value) {
    // Static enumerations' classes stay: the type system keeps them for the life of the
    // process.
    auto *enum_class = static_cast<GEnumClass *>(g_type_class_ref(type));
    const GEnumValue *entry = g_enum_get_value(enum_class, value);
    const char *nick = entry != nullptr ? entry->value_nick : "";
    g_type_class_unref(enum_class);
    return nick;
}

} // namespace sphere::gst
