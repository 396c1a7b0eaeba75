// SPDX-License-Identifier: MIT
// From a precision by name to a plan's settings.
#include "core/engine/onednn/precision.h"

#include "core/base/log.h"
#include "core/engine/calibration.h"
#include "core/engine/onednn/network.h"

#include <cstdio>

namespace sphere::onednn {
namespace {

Result<PlanSettings> int8_settings(const ResolvedModel &model) {
    const int bits = int8_weight_bits();
    if (bits == 0)
        return fail(
            Errc::Unsupported,
            "Engine onednn: int8 needs AVX2, which this CPU lacks or ONEDNN_MAX_CPU_ISA "
            "forbids: set precision=fp32 or precision=auto.");
    auto calibration = load_calibration(model);
    if (!calibration)
        return std::move(calibration).error();
    if (calibration->weight_bits > bits)
        return fail(Errc::Mismatch, "The int8 calibration of model ", model.descriptor.name,
                    " was made on a CPU with int8 dot products (VNNI), with weights of ",
                    std::to_string(calibration->weight_bits), " bits; this one takes ",
                    std::to_string(bits), ": run spherectl quantize --model ",
                    model.descriptor.name,
                    " --images DIR here, or set precision=fp32 or precision=auto.");
    PlanSettings settings;
    settings.int8 = std::make_shared<const Int8Calibration>(std::move(*calibration));
    return settings;
}

// Left to choose, detectors and landmark models convolve in fp32: nobody has measured where
// their points go in bf16.
PlanSettings float_settings(Precision precision, ModelTask task) {
    PlanSettings settings;
    if (precision == Precision::Fp32)
        return settings;
    if (!cpu_has_bf16()) {
        if (precision == Precision::Bf16)
            log(LogLevel::Info,
                "engine onednn: this CPU has no bfloat16; precision=fp32 is used");
        return settings;
    }
    settings.bf16_products = true;
    settings.bf16_convolutions =
        bf16_is_faster() && (precision == Precision::Bf16 || task == ModelTask::Embed);
    if (precision == Precision::Bf16 && !settings.bf16_convolutions)
        log(LogLevel::Info,
            "engine onednn: on this CPU fp32 is faster than bf16 for convolutions, "
            "and is used for them");
    return settings;
}

Result<Preparation> fastest(const ResolvedModel &model, const Graph &graph) {
    PlanSettings floats = float_settings(Precision::Auto, model.descriptor.task);
    if (int8_weight_bits() == 0)
        return Preparation(floats);
    auto int8 = int8_settings(model);
    if (!int8) {
        if (int8.error().code != Errc::NotFound)
            log(LogLevel::Warning,
                int8.error().message + " precision=auto goes on without int8.");
        return Preparation(floats);
    }
    if (!int8_is_accurate(*int8->int8, model.descriptor.task))
        return Preparation(floats);
    auto race = time_plans(graph, one_picture(model.descriptor.input), *int8, floats);
    if (!race)
        return std::move(race).error();
    char took[96];
    std::snprintf(took, sizeof took, "%.2f ms a picture in int8, %.2f ms without",
                  race->first_s * 1e3, race->second_s * 1e3);
    log(LogLevel::Info, "Model " + model.descriptor.name + ": " + took +
                            (race->first_won() ? ": int8 is used." : ": int8 is not used."));
    return std::move(race->winner);
}

} // namespace

Result<Preparation> prepare(const ResolvedModel &model, const Graph &graph,
                            Precision precision) {
    if (precision == Precision::Int8) {
        auto int8 = int8_settings(model);
        if (int8 || model.descriptor.task == ModelTask::Embed ||
            (int8.error().code != Errc::NotFound && int8.error().code != Errc::Unsupported))
            return int8 ? Result<Preparation>(Preparation(std::move(*int8)))
                        : std::move(int8).error();
        // One option serves recogniser, detector and landmark model, and not all that it names
        // need be calibrated.
        log(LogLevel::Info, "Model " + model.descriptor.name +
                                ": has no int8 calibration; another precision is used.");
        precision = Precision::Auto;
    }
    if (precision != Precision::Auto)
        return Preparation(float_settings(precision, model.descriptor.task));
    return fastest(model, graph);
}

} // namespace sphere::onednn
