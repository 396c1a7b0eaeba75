// SPDX-License-Identifier: MIT
// Sends records somewhere.
#pragma once

#include "core/base/result.h"
#include "core/publish/record.h"

#include <memory>
#include <string>

namespace sphere {

struct PublishOptions {
    std::string location = "-"; ///< a path, or "-" for stdout
    bool embeddings = false;
};

/// Not thread-safe: one thread at a time.
class Publisher {
  public:
    virtual ~Publisher() = default;
    /// Errors: NoSpace, Io; the record that failed is not half-written where that can be helped
    /// (the next one starts a new line).
    virtual Result<void> publish(const FrameRecord &record) = 0;
    /// Everything published so far is with the operating system.
    virtual Result<void> flush() = 0;
};

/// By location. Files are made with mode 0600 and truncated. mqtt://, kafka://, https:// and
/// unix: are Unsupported in this build and say so. Errors: InvalidArgument, NotFound (no such
/// directory), Permission.
Result<std::unique_ptr<Publisher>> make_publisher(const PublishOptions &options);

} // namespace sphere
