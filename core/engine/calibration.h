// SPDX-License-Identifier: MIT
// What int8 needs to know of a network beyond its file: ranges of activations, measured once.
#pragma once

#include "core/engine/engine.h"

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>

namespace sphere {

struct ValueRange {
    float low = 0;
    float high = 0;
};

/// Stored as NAME.int8.json beside the model's weights, or where that folder cannot be written
/// in ModelStore::user_directory().
struct Int8Calibration {
    std::string model;
    std::string sha256; ///< of the weights that were measured; of others it is refused
    int pictures = 0;
    int weight_bits = 8; ///< 7 or 8: what weights are rounded to (7: exact without VNNI, too)
    double cosine = 0;   ///< mean of outputs in int8 to outputs in fp32, over those pictures
    std::map<std::string, ValueRange> ranges; ///< inputs of convolutions and inner products
    std::set<std::string> fp32_nodes;         ///< nodes that int8 harms: computed in fp32
};

/// Least mean cosine to fp32 with which precision=auto takes int8.
inline constexpr double kInt8LeastCosine = 0.99;

/// Called as work goes on; `done` of `total` steps.
using CalibrationProgress = std::function<void(std::size_t done, std::size_t total)>;

/// Runs the network in fp32 on `inputs` (batch 1 each, as Engine::run takes them), chooses the
/// ranges, and tries int8 on them. Errors: InvalidArgument (no inputs), Unsupported (built
/// without oneDNN; a CPU without AVX2; a network that the engine does not know), as
/// make_engine.
Result<Int8Calibration> calibrate_int8(const ResolvedModel &model,
                                       std::span<const Tensor> inputs,
                                       const CalibrationProgress &progress = {});

/// The model's stored calibration. Errors: NotFound (says which command makes one), Mismatch
/// (made of other weights), Corrupt.
Result<Int8Calibration> load_calibration(const ResolvedModel &model);

/// Stores it; gives the path. Errors: Permission, NoSpace, Io.
Result<std::string> save_calibration(const ResolvedModel &model,
                                     const Int8Calibration &calibration);

} // namespace sphere
