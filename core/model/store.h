// SPDX-License-Identifier: MIT
// Where models are: descriptors and files, in the lookup order of docs/models.md.
#pragma once

#include "core/model/descriptor.h"

#include <string>
#include <vector>

namespace sphere {

/// A descriptor together with the files it names, all present and verified.
struct ResolvedModel {
    ModelDescriptor descriptor;
    std::vector<std::string> paths; ///< parallel to descriptor.files
    std::string sha256;             ///< of the weights file: what a gallery is stamped with

    /// Path of the file with this role, or empty.
    std::string path_of(std::string_view role) const;
};

/// Finds models. Holds directories only; reads the disk at each call. Thread-safe.
///
/// A name is looked up in: the directories of SPHERE_MODEL_PATH (colon-separated), then
/// $XDG_DATA_HOME/sphere/models (~/.local/share/sphere/models), the build tree's models/, then
/// the installed data directory. A value with a slash or ending in .json is a path to a
/// descriptor. A model's files are sought beside its descriptor first, then in each of these
/// directories, then at the `path` sources.
class ModelStore {
  public:
    /// The directories as the environment says.
    static ModelStore from_environment();
    explicit ModelStore(std::vector<std::string> directories)
        : directories_(std::move(directories)) {}

    const std::vector<std::string> &directories() const { return directories_; }

    /// Where fetched files go: $XDG_DATA_HOME/sphere/models.
    static std::string user_directory();

    /// All descriptors, first in lookup order wins a name; sorted by name. Files that do not
    /// parse are warned of in the log and left out.
    std::vector<ModelDescriptor> list() const;

    /// The descriptor of `name_or_path`. NotFound lists the names there are.
    Result<ModelDescriptor> find(const std::string &name_or_path) const;

    /// Path of a model's file where it exists (not verified), or empty.
    std::string locate(const ModelDescriptor &model, const ModelFile &file) const;

    /// find() and all files present with the right size and sha256 (hash cached in the user's
    /// cache directory by path, size, mtime and inode). `name_or_path` "auto" takes the first
    /// installed of the defaults for `task` and logs at Info which. Errors: NotFound (names the
    /// file and the command `spherectl models fetch NAME` that gets it), Corrupt (sha256
    /// differs), as find().
    Result<ResolvedModel> resolve(const std::string &name_or_path, ModelTask task) const;

    /// True if every file of `model` is present with the right size (not hashed).
    bool installed(const ModelDescriptor &model) const;

  private:
    std::vector<std::string> directories_;
};

/// The `auto` order for a task, best first (CONTRACT, section 2).
std::vector<std::string> default_models(ModelTask task);

} // namespace sphere
