// SPDX-License-Identifier: MIT
// An installed model in a folder of the test's own, in which it may leave files.
#pragma once

#include "core/model/store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

namespace sphere::testing_support {

/// Links to the model's files in `folder`; nothing where it is not installed. A name that is
/// none is a failure.
inline std::optional<ResolvedModel> linked_model(const std::string &name,
                                                 const std::filesystem::path &folder) {
    const ModelStore store = ModelStore::from_environment();
    const auto found = store.find(name);
    EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
    if (!found)
        return std::nullopt;
    ResolvedModel model;
    model.descriptor = *found;
    for (const ModelFile &file : found->files) {
        const std::string path = store.locate(*found, file);
        if (path.empty())
            return std::nullopt;
        std::filesystem::create_symlink(path, folder / file.name);
        model.paths.push_back(folder / file.name);
    }
    return model;
}

} // namespace sphere::testing_support
