// SPDX-License-Identifier: MIT
// The properties that every element with a model has: model, engine, precision, threads,
// model-instance-id.
#pragma once

#include "core/engine/engine.h"

#include <glib-object.h>

#include <mutex>
#include <string>

namespace sphere::gst {

/// Values of the shared properties. Thread-safe: an application sets them at any time; they are
/// read once, when the model is loaded.
class ModelProperties {
  public:
    /// Installs the properties under the numbers first .. first + kCount - 1.
    static constexpr guint kCount = 5;
    static void install(GObjectClass *klass, guint first, const char *model_blurb);

    /// True where `id` (counted from the first) is one of ours.
    bool set(guint id, guint first, const GValue *value);
    bool get(guint id, guint first, GValue *value) const;

    std::string model() const;
    EngineOptions engine_options() const;

  private:
    mutable std::mutex mutex_;
    std::string model_ = "auto";
    std::string instance_id_;
    int engine_ = 0;
    int precision_ = 0;
    int threads_ = 0;
};

/// A string property's value; null counts as empty.
std::string string_from(const GValue *value);

} // namespace sphere::gst
