// SPDX-License-Identifier: MIT
// The factories of the inference backends; an absent one is a stub that says how to enable it.
#pragma once

#include "core/engine/engine.h"

namespace sphere {

Result<std::shared_ptr<Engine>> make_opencv_engine(const ResolvedModel &model,
                                                   const EngineOptions &options);
Result<std::shared_ptr<Engine>> make_onednn_engine(const ResolvedModel &model,
                                                   const EngineOptions &options);
Result<std::shared_ptr<Engine>> make_onnxruntime_engine(const ResolvedModel &model,
                                                        const EngineOptions &options);
Result<std::shared_ptr<Engine>> make_fake_engine(const ResolvedModel &model,
                                                 const EngineOptions &options);

bool opencv_engine_built(); ///< false in the stub
bool onednn_engine_built();
bool onnxruntime_engine_built();

/// Of the library that is loaded, "4.6.0"; empty in the stub.
std::string opencv_engine_version();
std::string onednn_engine_version();
std::string onnxruntime_engine_version();

/// "1x3x112x96", for messages.
std::string shape_text(const std::vector<std::int64_t> &shape);

/// Checks `input` against what the descriptor says of the network: NCHW, channels, size (free
/// in multiples of 32 where the descriptor has it so), batch, and data that fill the shape.
/// Errors: InvalidArgument, with the expected and the found shape.
Result<void> check_input(const ModelDescriptor &descriptor, const Tensor &input);

/// Unsupported for a precision other than Auto and Fp32.
Result<void> require_fp32(const char *engine, Precision precision);

} // namespace sphere
