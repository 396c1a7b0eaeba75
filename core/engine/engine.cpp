// SPDX-License-Identifier: MIT
// The table of backends, and the engines that a process shares.
#include "core/engine/engine.h"

#include "core/engine/backends.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string_view>

namespace sphere {
namespace {

using Factory = Result<std::shared_ptr<Engine>> (*)(const ResolvedModel &,
                                                    const EngineOptions &);

// Without a source file yet: named so that a user who asks gets a sentence, not "unknown".
Result<std::shared_ptr<Engine>> make_absent(const ResolvedModel &,
                                            const EngineOptions &options) {
    return fail(Errc::Unsupported, "This build has no engine '", options.engine,
                "': use engine=opencv or engine=auto.");
}

struct Backend {
    const char *name;
    Factory make;
};

constexpr Backend kBackends[] = {
    {"opencv", &make_opencv_engine}, {"onednn", &make_absent},    {"onnxruntime", &make_absent},
    {"cuda", &make_absent},          {"fake", &make_fake_engine},
};

std::string backend_for(const ResolvedModel &model, const EngineOptions &options) {
    if (options.engine != "auto" && !options.engine.empty())
        return options.engine;
    return model.descriptor.framework == "fake" ? "fake" : "opencv";
}

std::string sharing_key(const ResolvedModel &model, const EngineOptions &options) {
    if (!options.instance_id.empty())
        return "id " + options.instance_id + '\n' + model.descriptor.name;
    std::string key = backend_for(model, options) + '\n' + model.descriptor.name + '\n' +
                      model.sha256 + '\n' +
                      std::to_string(static_cast<int>(options.precision)) + '\n' +
                      std::to_string(options.threads);
    for (const std::string &path : model.paths)
        key += '\n' + path;
    return key;
}

struct Registry {
    std::mutex mutex;
    std::map<std::string, std::weak_ptr<Engine>> engines;
};

} // namespace

Result<std::shared_ptr<Engine>> make_engine(const ResolvedModel &model,
                                            const EngineOptions &options) {
    const std::string name = backend_for(model, options);
    EngineOptions named = options;
    named.engine = name;
    for (const Backend &backend : kBackends)
        if (name == backend.name)
            return backend.make(model, named);
    std::string names;
    for (const Backend &backend : kBackends)
        names += std::string(names.empty() ? "" : ", ") + backend.name;
    return fail(Errc::InvalidArgument, "There is no engine '", name, "': use auto or one of ",
                names, ".");
}

Result<std::shared_ptr<Engine>> acquire_engine(const ResolvedModel &model,
                                               const EngineOptions &options) {
    static Registry *const registry = new Registry; // outlives every static holder of an engine
    const std::lock_guard lock(registry->mutex);
    std::erase_if(registry->engines, [](const auto &entry) { return entry.second.expired(); });
    std::weak_ptr<Engine> &shared = registry->engines[sharing_key(model, options)];
    if (std::shared_ptr<Engine> engine = shared.lock())
        return engine;
    auto made = make_engine(model, options);
    if (made)
        shared = *made;
    return made;
}

std::vector<EngineInfo> engine_backends() {
    std::vector<EngineInfo> infos;
    for (const Backend &backend : kBackends)
        infos.push_back({backend.name, backend.make != &make_absent});
    return infos;
}

} // namespace sphere
