// SPDX-License-Identifier: MIT
// Lookup of descriptors and their files.
#include "core/model/store.h"

#include "core/base/log.h"
#include "core/model/descriptor_check.h"
#include "core/model/hash_cache.h"
#include "core/model/paths.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

namespace sphere {
namespace {

constexpr std::size_t kMaxDescriptors = 10000; ///< of one directory; more is no model directory

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

void add_directory(std::vector<std::string> &list, const std::string &directory) {
    if (directory.empty())
        return;
    std::string absolute = absolute_path(directory);
    if (absolute.size() > 1 && absolute.back() == '/')
        absolute.pop_back();
    if (std::find(list.begin(), list.end(), absolute) == list.end())
        list.push_back(std::move(absolute));
}

/// Names NAME of the files NAME.json in a directory; NAME.int8.json there is what
/// `spherectl quantize` has measured of a model.
std::vector<std::string> descriptor_names(const std::string &directory) {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator it(directory, error);
    for (; !error && it != std::filesystem::directory_iterator() &&
           names.size() < kMaxDescriptors;
         it.increment(error)) {
        const std::string file = it->path().filename().string();
        if (ends_with(file, ".json") && !ends_with(file, ".int8.json") &&
            is_model_name(file.substr(0, file.size() - 5)))
            names.push_back(file.substr(0, file.size() - 5));
    }
    return names;
}

std::string descriptor_path(std::string directory, const std::string &name) {
    return directory.append("/").append(name).append(".json");
}

/// A descriptor that is found by its file's name must bear that name.
Result<ModelDescriptor> load_named(const std::string &path, const std::string &name) {
    auto model = load_descriptor(path);
    if (model && model->name != name)
        return fail(Errc::Corrupt, path, ": name: \"", model->name, "\" must be \"", name,
                    "\", as the file is called");
    return model;
}

bool right_size(const std::string &path, const ModelFile &file) {
    const long long size = file_size(path);
    return size >= 0 && (file.bytes == 0 || static_cast<std::uint64_t>(size) == file.bytes);
}

/// How a missing file is to be had, as the end of a message.
std::string remedy(const ModelDescriptor &model, const ModelFile &file) {
    for (const ModelSource &source : file.sources)
        if (!source.npm.empty() || !source.url.empty())
            return "get it with: spherectl models fetch " + model.name;
    for (const ModelSource &source : file.sources)
        if (!source.path.empty())
            return source.package.empty()
                       ? "it should be at " + source.path
                       : "it comes with the Debian package " + source.package +
                             " (apt install " + source.package + ")";
    for (const ModelSource &source : file.sources)
        if (!source.page.empty())
            return "it has to be fetched by hand from " + source.page + " and put into " +
                   ModelStore::user_directory() + " ('spherectl models fetch " + model.name +
                   "' gets the rest)";
    return "put it beside " + model.path;
}

/// Errors of one file; `path` is where it was found, or empty.
Result<void> verify(const ModelDescriptor &model, const ModelFile &file,
                    const std::string &path, std::string &sha256) {
    if (path.empty())
        return fail(Errc::NotFound, "model ", model.name, ": its file ", file.name,
                    " is not installed; ", remedy(model, file));
    if (!right_size(path, file))
        return fail(Errc::Corrupt, "model ", model.name, ": ", path, " has ",
                    static_cast<std::int64_t>(file_size(path)), " bytes, not the ", file.bytes,
                    " that its descriptor says; remove it, then ", remedy(model, file));
    auto hash = cached_sha256(path);
    if (!hash)
        return fail(hash.error().code, "model ", model.name, ": ", hash.error().message);
    if (!file.sha256.empty() && *hash != file.sha256)
        return fail(Errc::Corrupt, "model ", model.name, ": ", path,
                    " is damaged or another file: its sha256 is ", *hash, ", not ", file.sha256,
                    "; remove it, then ", remedy(model, file));
    sha256 = std::move(*hash);
    return {};
}

std::string join(const std::vector<std::string> &words, const char *separator) {
    std::string text;
    for (const std::string &word : words)
        text += (text.empty() ? "" : separator) + word;
    return text;
}

bool is_path(const std::string &name) {
    return name.find('/') != std::string::npos || ends_with(name, ".json");
}

Result<ResolvedModel> resolve_descriptor(const ModelStore &store, ModelDescriptor descriptor) {
    ResolvedModel resolved;
    for (const ModelFile &file : descriptor.files) {
        std::string path = store.locate(descriptor, file);
        std::string sha256;
        SPHERE_TRY(verify(descriptor, file, path, sha256));
        if (file.role == "weights")
            resolved.sha256 = sha256;
        resolved.paths.push_back(std::move(path));
    }
    // A model without files is what its descriptor says, and changes with it.
    if (resolved.sha256.empty()) {
        auto hash = cached_sha256(absolute_path(descriptor.path));
        if (!hash)
            return hash.error();
        resolved.sha256 = std::move(*hash);
    }
    resolved.descriptor = std::move(descriptor);
    return resolved;
}

Result<ResolvedModel> resolve_auto(const ModelStore &store, ModelTask task) {
    std::string first; // the best default that has a descriptor: what to fetch
    for (const std::string &name : default_models(task)) {
        auto model = store.find(name);
        if (!model && model.error().code != Errc::NotFound)
            return model.error();
        if (!model || !model->may_be_default || model->task != task)
            continue;
        if (first.empty())
            first = name;
        if (!store.installed(*model))
            continue;
        auto resolved = resolve_descriptor(store, std::move(*model));
        if (resolved)
            log(LogLevel::Info, std::string("model for ") + model_task_name(task) + ": " +
                                    name + " (the first of " +
                                    join(default_models(task), ", ") + " that is installed)");
        return resolved;
    }
    const std::string what = model_task_name(task);
    if (first.empty())
        return fail(Errc::NotFound, "there is no default model for the task ", what,
                    "; name one (spherectl models list)");
    return fail(Errc::NotFound, "no default model for the task ", what, " is installed (of ",
                join(default_models(task), ", "), "); get one with: spherectl models fetch ",
                first);
}

} // namespace

std::string ResolvedModel::path_of(std::string_view role) const {
    for (std::size_t i = 0; i < descriptor.files.size() && i < paths.size(); ++i)
        if (descriptor.files[i].role == role)
            return paths[i];
    return {};
}

std::string ModelStore::user_directory() {
    const std::string base = xdg_directory("XDG_DATA_HOME", ".local/share");
    return base.empty() ? base : base + "/sphere/models";
}

ModelStore ModelStore::from_environment() {
    std::vector<std::string> directories;
    if (const char *variable = std::getenv("SPHERE_MODEL_PATH")) {
        const std::string value = variable;
        for (std::size_t start = 0; start <= value.size();) {
            const std::size_t end = std::min(value.find(':', start), value.size());
            add_directory(directories, value.substr(start, end - start));
            start = end + 1;
        }
    }
    add_directory(directories, user_directory());
    add_directory(directories, SPHERE_SOURCE_MODELS);
    add_directory(directories, SPHERE_INSTALLED_MODELS);
    return ModelStore(std::move(directories));
}

std::vector<ModelDescriptor> ModelStore::list() const {
    std::map<std::string, ModelDescriptor> found;
    for (const std::string &directory : directories_)
        for (const std::string &name : descriptor_names(directory)) {
            if (found.count(name) != 0)
                continue;
            auto model = load_named(descriptor_path(directory, name), name);
            if (model)
                found.emplace(name, std::move(*model));
            else
                log(LogLevel::Warning, "left out of the models: " + model.error().message);
        }
    std::vector<ModelDescriptor> models;
    models.reserve(found.size());
    for (auto &item : found)
        models.push_back(std::move(item.second));
    return models;
}

Result<ModelDescriptor> ModelStore::find(const std::string &name_or_path) const {
    if (is_path(name_or_path))
        return load_descriptor(name_or_path);
    if (!is_model_name(name_or_path))
        return fail(Errc::InvalidArgument, "\"", name_or_path,
                    "\" is neither a model's name nor the path of a descriptor (with a '/' or "
                    "ending in .json)");
    for (const std::string &directory : directories_) {
        const std::string path = descriptor_path(directory, name_or_path);
        if (is_regular_file(path))
            return load_named(path, name_or_path);
    }
    std::vector<std::string> names;
    for (const std::string &directory : directories_)
        for (const std::string &name : descriptor_names(directory))
            if (std::find(names.begin(), names.end(), name) == names.end())
                names.push_back(name);
    std::sort(names.begin(), names.end());
    return fail(Errc::NotFound, "no model named ", name_or_path,
                "; there are: ", names.empty() ? "none" : join(names, ", "),
                " ('spherectl models list' says more; sought in ", join(directories_, ", "),
                ")");
}

std::string ModelStore::locate(const ModelDescriptor &model, const ModelFile &file) const {
    std::vector<std::string> candidates;
    if (!model.path.empty())
        candidates.push_back(absolute_path(directory_of(model.path)) + "/" + file.name);
    for (const std::string &directory : directories_)
        candidates.push_back(directory + "/" + file.name);
    for (const ModelSource &source : file.sources)
        if (!source.path.empty())
            candidates.push_back(source.path);
    std::string wrong_size; // still told of: better than 'not installed'
    for (std::string &path : candidates) {
        if (!is_regular_file(path))
            continue;
        if (right_size(path, file))
            return path;
        if (wrong_size.empty())
            wrong_size = std::move(path);
    }
    return wrong_size;
}

bool ModelStore::installed(const ModelDescriptor &model) const {
    return std::all_of(model.files.begin(), model.files.end(), [&](const ModelFile &file) {
        const std::string path = locate(model, file);
        return !path.empty() && right_size(path, file);
    });
}

Result<ResolvedModel> ModelStore::resolve(const std::string &name_or_path,
                                          ModelTask task) const {
    if (name_or_path == "auto")
        return resolve_auto(*this, task);
    auto model = find(name_or_path);
    if (!model)
        return model.error();
    if (model->task != task)
        return fail(Errc::Mismatch, "model ", model->name, " is for the task ",
                    model_task_name(model->task), ", not ", model_task_name(task),
                    "; see: spherectl models list");
    return resolve_descriptor(*this, std::move(*model));
}

std::vector<std::string> default_models(ModelTask task) {
    switch (task) {
    case ModelTask::Detect:
        return {"yunet-640", "yunet-320", "ultralight"};
    case ModelTask::Landmark:
        return {"fr_landmark"};
    case ModelTask::Embed:
        return {"sphereface20-sphere", "fr_feature"};
    case ModelTask::Attribute:
        return {};
    }
    return {};
}

} // namespace sphere
