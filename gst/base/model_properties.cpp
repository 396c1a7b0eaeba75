// SPDX-License-Identifier: MIT
#include "gst/base/model_properties.h"

#include "gst/base/enums.h"

#include <gst/gst.h>

namespace sphere::gst {
namespace {

enum Offset : guint { kModel, kEngine, kPrecision, kThreads, kInstanceId };

constexpr auto kFlags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                 GST_PARAM_MUTABLE_READY);

} // namespace

void ModelProperties::install(GObjectClass *klass, guint first, const char *model_blurb) {
    g_object_class_install_property(
        klass, first + kModel,
        g_param_spec_string("model", "Model", model_blurb, "auto", kFlags));
    g_object_class_install_property(
        klass, first + kEngine,
        g_param_spec_enum("engine", "Engine", "Library that runs the network",
                          gst_sphere_engine_get_type(), GST_SPHERE_ENGINE_AUTO, kFlags));
    g_object_class_install_property(
        klass, first + kPrecision,
        g_param_spec_enum("precision", "Precision", "Arithmetic of the network",
                          gst_sphere_precision_get_type(), GST_SPHERE_PRECISION_AUTO, kFlags));
    g_object_class_install_property(
        klass, first + kThreads,
        g_param_spec_int(
            "threads", "Threads",
            "Threads of the inference library (0 = one a core; OpenCV has one number "
            "for the whole process)",
            0, 1024, 0, kFlags));
    g_object_class_install_property(
        klass, first + kInstanceId,
        g_param_spec_string(
            "model-instance-id", "Model instance",
            "Elements with equal ids share one loaded network (unset = those with "
            "equal model, engine, precision and threads)",
            nullptr, kFlags));
    gst_type_mark_as_plugin_api(gst_sphere_engine_get_type(),
                                static_cast<GstPluginAPIFlags>(0));
    gst_type_mark_as_plugin_api(gst_sphere_precision_get_type(),
                                static_cast<GstPluginAPIFlags>(0));
}

bool ModelProperties::set(guint id, guint first, const GValue *value) {
    const std::lock_guard lock(mutex_);
    switch (id - first) {
    case kModel:
        model_ = string_from(value);
        if (model_.empty())
            model_ = "auto";
        return true;
    case kEngine:
        engine_ = g_value_get_enum(value);
        return true;
    case kPrecision:
        precision_ = g_value_get_enum(value);
        return true;
    case kThreads:
        threads_ = g_value_get_int(value);
        return true;
    case kInstanceId:
        instance_id_ = string_from(value);
        return true;
    default:
        return false;
    }
}

bool ModelProperties::get(guint id, guint first, GValue *value) const {
    const std::lock_guard lock(mutex_);
    switch (id - first) {
    case kModel:
        g_value_set_string(value, model_.c_str());
        return true;
    case kEngine:
        g_value_set_enum(value, engine_);
        return true;
    case kPrecision:
        g_value_set_enum(value, precision_);
        return true;
    case kThreads:
        g_value_set_int(value, threads_);
        return true;
    case kInstanceId:
        g_value_set_string(value, instance_id_.empty() ? nullptr : instance_id_.c_str());
        return true;
    default:
        return false;
    }
}

std::string ModelProperties::model() const {
    const std::lock_guard lock(mutex_);
    return model_;
}

EngineOptions ModelProperties::engine_options() const {
    const std::lock_guard lock(mutex_);
    EngineOptions options;
    options.engine = enum_nick(gst_sphere_engine_get_type(), engine_);
    options.precision = static_cast<Precision>(precision_); // same order in both
    options.threads = threads_;
    options.instance_id = instance_id_;
    return options;
}

std::string string_from(const GValue *value) {
    const char *text = g_value_get_string(value);
    return text != nullptr ? text : "";
}

} // namespace sphere::gst
