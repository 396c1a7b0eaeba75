// SPDX-License-Identifier: MIT
// Gets a model's files from their public sources, verifies and installs them.
#pragma once

#include "core/model/store.h"

#include <functional>

namespace sphere {

/// Called while bytes arrive, about ten times a second; total_bytes is 0 where it is not known.
using FetchProgress = std::function<void(const std::string &file, std::uint64_t done_bytes,
                                         std::uint64_t total_bytes)>;

/// Brings every missing file of `models`, and of the landmark models that they name, into
/// `directory` (made if absent): npm sources by `npm pack` in a private temporary directory,
/// one pack for all files of a package, https sources by curl with resume. Each file is checked
/// (size, sha256) before it is renamed into place, so a file in `directory` is always whole; a
/// part download stays as NAME.part for the next try. A damaged file in `directory` is
/// replaced. What can be fetched is fetched before an error is returned for a file whose source
/// is only a `page` or a distribution's package; that error says where a person gets it and
/// where to put it. Fetches into one directory wait for each other. Errors: NotFound (the
/// source has it no longer; a file for a person to get), Corrupt, Io (no network), NoSpace,
/// Permission, Unsupported (npm or curl is missing).
Result<void> fetch_models(const ModelStore &store, const std::vector<ModelDescriptor> &models,
                          const std::string &directory, const FetchProgress &progress);

/// fetch_models() of one model.
Result<void> fetch_model(const ModelStore &store, const ModelDescriptor &model,
                         const std::string &directory, const FetchProgress &progress);

} // namespace sphere
