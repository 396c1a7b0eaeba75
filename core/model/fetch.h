// SPDX-License-Identifier: MIT
// Gets a model's files from their public sources, verifies and installs them.
#pragma once

#include "core/model/store.h"

#include <functional>

namespace sphere {

/// Called while bytes arrive; total_bytes is 0 where it is not known.
using FetchProgress = std::function<void(const std::string &file, std::uint64_t done_bytes,
                                         std::uint64_t total_bytes)>;

/// Brings every missing file of `model` into `directory` (made if absent): npm sources by `npm
/// pack` in a private temporary directory, https sources by curl with resume. Each file is
/// checked (size, sha256) before it is renamed into place, so a file in `directory` is always
/// whole; a part download stays as NAME.part for the next try. Files whose source is only a
/// `page` give an error that says where a person gets them and where to put them. Errors:
/// NotFound, Corrupt, Io, NoSpace, Unsupported.
Result<void> fetch_model(const ModelStore &store, const ModelDescriptor &model,
                         const std::string &directory, const FetchProgress &progress);

} // namespace sphere
