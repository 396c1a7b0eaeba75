// SPDX-License-Identifier: MIT
// From a precision by name to a plan's settings.
#include "core/engine/onednn/precision.h"

#include "core/base/log.h"
#include "core/engine/calibration.h"
#include "core/engine/onednn/probe.h"

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

PlanSettings float_settings(Precision precision) {
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
    settings.bf16_convolutions = bf16_is_faster();
    if (precision == Precision::Bf16 && !settings.bf16_convolutions)
        log(LogLevel::Info,
            "engine onednn: on this CPU fp32 is faster than bf16 for convolutions, "
            "and is used for them");
    return settings;
}

Result<PlanSettings> fastest(const ResolvedModel &model, const Graph &graph) {
    PlanSettings floats = float_settings(Precision::Auto);
    if (int8_weight_bits() == 0)
        return floats;
    auto int8 = int8_settings(model);
    if (!int8) {
        if (int8.error().code != Errc::NotFound)
            log(LogLevel::Warning,
                int8.error().message + " precision=auto goes on without int8.");
        return floats;
    }
    if (!int8_is_accurate(*int8->int8, model.descriptor.task))
        return floats;
    const ModelInput &in = model.descriptor.input;
    const Dims input = {1, in.norm.order == ChannelOrder::Gray ? 1 : 3, in.height, in.width};
    auto times = time_plans(graph, input, *int8, floats);
    if (!times)
        return std::move(times).error();
    char took[96];
    std::snprintf(took, sizeof took, "%.2f ms a picture in int8, %.2f ms without",
                  times->first * 1e3, times->second * 1e3);
    log(LogLevel::Info,
        "Model " + model.descriptor.name + ": " + took +
            (times->first < times->second ? ": int8 is used." : ": int8 is not used."));
    return times->first < times->second ? int8 : floats;
}

} // namespace

Result<PlanSettings> settings_for(const ResolvedModel &model, const Graph &graph,
                                  Precision precision) {
    if (precision == Precision::Int8) {
        auto int8 = int8_settings(model);
        if (int8 || model.descriptor.task == ModelTask::Embed ||
            (int8.error().code != Errc::NotFound && int8.error().code != Errc::Unsupported))
            return int8;
        // One option serves recogniser, detector and landmark model, and not all that it names
        // need be calibrated.
        log(LogLevel::Info, "Model " + model.descriptor.name +
                                ": has no int8 calibration; another precision is used.");
        precision = Precision::Auto;
    }
    return precision == Precision::Auto ? fastest(model, graph) : float_settings(precision);
}

} // namespace sphere::onednn
