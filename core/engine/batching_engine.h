// SPDX-License-Identifier: MIT
// Internal. One engine for several callers whose pictures go through the network together.
#pragma once

#include "core/engine/engine.h"

#include <chrono>
#include <memory>

namespace sphere {

/// An Engine whose run() waits up to `timeout` for the pictures of other threads and runs them
/// in one batch of `max_batch` at most (0 = as `engine` prefers). While one holder alone has
/// it, nothing waits. A batch that fails is run again caller by caller, so that each gets its
/// own result. Thread-safe.
std::shared_ptr<Engine> make_batching_engine(std::shared_ptr<Engine> engine, int max_batch,
                                             std::chrono::milliseconds timeout);

} // namespace sphere
