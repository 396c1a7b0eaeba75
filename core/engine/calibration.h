// SPDX-License-Identifier: MIT
// What int8 needs to know of a network beyond its file: ranges of activations, measured once.
#pragma once

#include "core/engine/engine.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace sphere {

struct ValueRange {
    float low = 0;
    float high = 0;
};

/// What a detector finds in int8 against what it finds in fp32, in the same pictures, both at
/// its own threshold.
struct FaceAgreement {
    int fp32 = 0;   ///< faces found in fp32
    int int8 = 0;   ///< faces found in int8
    int agreed = 0; ///< found by both: boxes of an IoU of 0.5 or more
    double iou = 0; ///< of those, mean
    /// Of those with landmarks: how far the five points are apart, in eye distances, of which
    /// none counts as less than 16 px of the network's input.
    double landmarks_mean = 0, landmarks_p95 = 0;
    double score_mean = 0; ///< difference of their scores, absolute, mean

    /// Agreed faces among those of fp32 and of int8, the lesser share; 0 where there are none.
    double share() const;
};

/// Stored as NAME.int8.json beside the model's weights, or where that folder cannot be written
/// in ModelStore::user_directory().
struct Int8Calibration {
    std::string model;
    std::string sha256; ///< of the weights that were measured; of others it is refused
    int pictures = 0;
    int weight_bits = 8; ///< 7 or 8: what weights are rounded to (7: exact without VNNI, too)
    double cosine = 0;   ///< mean of outputs in int8 to outputs in fp32, over those pictures
    std::optional<FaceAgreement> faces; ///< of a detector, in place of the cosine
    double int8_products = 0; ///< share of the network's multiplications that int8 may take
    std::map<std::string, ValueRange> ranges; ///< inputs of convolutions and inner products
    std::set<std::string> fp32_nodes;         ///< nodes that int8 harms: computed in fp32
};

/// Least mean cosine to fp32 with which precision=auto takes int8.
inline constexpr double kInt8LeastCosine = 0.99;
/// Likewise for a detector: least share of agreed faces and mean IoU, most distance of
/// landmarks in eye distances. Another detector's landmarks are several times as far away, and
/// recognition does not notice this much (docs/engines.md).
inline constexpr double kInt8LeastFaceShare = 0.98;
inline constexpr double kInt8LeastIou = 0.95;
inline constexpr double kInt8MostLandmarkError = 0.02;

/// Whether precision=auto may take int8 for a model of `task`.
bool int8_is_accurate(const Int8Calibration &calibration, ModelTask task);

/// Called as work goes on; `done` of `total` steps.
using CalibrationProgress = std::function<void(std::size_t done, std::size_t total)>;

/// A network's outputs for one picture, as Engine::run gives them.
using NetworkOutputs = std::vector<Tensor>;

/// Says how far a network in int8 strays from itself in fp32. Both spans hold the outputs for
/// the same pictures.
class Int8Judge {
  public:
    virtual ~Int8Judge() = default;
    /// 0 = not at all; above 1 the nodes that harm most go back to fp32.
    virtual Result<double> harm(std::span<const NetworkOutputs> fp32,
                                std::span<const NetworkOutputs> int8) = 0;
    /// Writes what there is to know of it into `calibration`.
    virtual Result<void> note(std::span<const NetworkOutputs> fp32,
                              std::span<const NetworkOutputs> int8,
                              Int8Calibration &calibration) = 0;
};

/// Runs the network in fp32 on `inputs` (batch 1 each, as Engine::run takes them), chooses the
/// ranges, and tries int8 on them; `judge` null = by the cosine of the outputs. Errors:
/// InvalidArgument (no inputs), Unsupported (built without oneDNN; a CPU without AVX2; a
/// network that the engine does not know), as make_engine, and the judge's.
Result<Int8Calibration> calibrate_int8(const ResolvedModel &model,
                                       std::span<const Tensor> inputs,
                                       const CalibrationProgress &progress = {},
                                       Int8Judge *judge = nullptr);

/// The calibration that `text` is; `path` is for messages. Errors: Corrupt.
Result<Int8Calibration> parse_calibration(std::string_view text, const std::string &path);

/// The model's stored calibration. Errors: NotFound (says which command makes one), Mismatch
/// (made of other weights), Corrupt.
Result<Int8Calibration> load_calibration(const ResolvedModel &model);

/// Stores it; gives the path. Errors: Permission, NoSpace, Io.
Result<std::string> save_calibration(const ResolvedModel &model,
                                     const Int8Calibration &calibration);

} // namespace sphere
