// SPDX-License-Identifier: MIT
// The table of backends, and the engines that a process shares.
#include "core/engine/engine.h"

#include "core/base/log.h"
#include "core/engine/backends.h"
#include "core/engine/batching_engine.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <set>
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
    bool (*built)();
    std::string (*version)();
};

bool never() {
    return false;
}

bool always() {
    return true;
}

std::string no_version() {
    return {};
}

constexpr Backend kBackends[] = {
    {"opencv", &make_opencv_engine, &opencv_engine_built, &opencv_engine_version},
    {"onednn", &make_onednn_engine, &onednn_engine_built, &onednn_engine_version},
    {"onnxruntime", &make_onnxruntime_engine, &onnxruntime_engine_built,
     &onnxruntime_engine_version},
    {"cuda", &make_absent, &never, &no_version},
    {"fake", &make_fake_engine, &always, &no_version},
};

bool is_auto(const EngineOptions &options) {
    return options.engine == "auto" || options.engine.empty();
}

Result<std::shared_ptr<Engine>> make_named(const ResolvedModel &model, EngineOptions options,
                                           const std::string &name) {
    options.engine = name;
    for (const Backend &backend : kBackends)
        if (name == backend.name)
            return backend.make(model, options);
    std::string names;
    for (const Backend &backend : kBackends)
        names += std::string(names.empty() ? "" : ", ") + backend.name;
    return fail(Errc::InvalidArgument, "There is no engine '", name, "': use auto or one of ",
                names, ".");
}

// A line for each model and outcome, however many elements load it.
void say_once(LogLevel level, const std::string &text) {
    static std::mutex mutex;
    static std::set<std::string> said;
    const std::lock_guard lock(mutex);
    if (said.insert(text).second)
        log(level, text);
}

// The faster engine where it is built in and knows the network, else OpenCV.
Result<std::shared_ptr<Engine>> make_auto(const ResolvedModel &model,
                                          const EngineOptions &options) {
    const ModelDescriptor &descriptor = model.descriptor;
    if (descriptor.framework == "fake")
        return make_named(model, options, "fake");
    const bool network = descriptor.framework == "onnx" || descriptor.framework == "caffe";
    if (!onednn_engine_built() || !network)
        return make_named(model, options, "opencv");
    auto fast = make_named(model, options, "onednn");
    if (fast) {
        say_once(LogLevel::Info, "Model " + descriptor.name + ": engine=auto takes onednn.");
        return fast;
    }
    // What OpenCV cannot be asked for is not its business.
    if (!opencv_engine_built() || !require_fp32("opencv", options.precision))
        return fast;
    auto other = make_named(model, options, "opencv");
    if (other)
        say_once(LogLevel::Warning,
                 "Model " + descriptor.name +
                     ": engine=auto takes opencv, which is slower, because: " +
                     fast.error().message);
    return other;
}

std::string sharing_key(const ResolvedModel &model, const EngineOptions &options) {
    // The descriptor counts as well as the files: it says which outputs are read, and how.
    std::string key =
        model.descriptor.name + '\n' + model.descriptor.path + '\n' + model.sha256;
    for (const std::string &path : model.paths)
        key += '\n' + path;
    if (!options.instance_id.empty())
        return key + "\nid " + options.instance_id;
    return key + '\n' + (is_auto(options) ? "auto" : options.engine) + '\n' +
           std::to_string(static_cast<int>(options.precision)) + '\n' +
           std::to_string(options.threads);
}

/// One loaded engine, or the place where one is being loaded: whoever comes second waits for
/// it, and nobody else does.
struct Slot {
    std::mutex mutex;
    std::weak_ptr<Engine> engine;
};

struct Registry {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<Slot>> slots;

    std::shared_ptr<Slot> slot(const std::string &key) {
        const std::lock_guard lock(mutex);
        std::erase_if(slots, [](const auto &entry) {
            // Nobody else holds it, but only its mutex orders us after the last who wrote it.
            const std::unique_lock last(entry.second->mutex, std::try_to_lock);
            return last && entry.second.use_count() == 1 && entry.second->engine.expired();
        });
        std::shared_ptr<Slot> &found = slots[key];
        if (!found)
            found = std::make_shared<Slot>();
        return found;
    }
};

} // namespace

Result<std::shared_ptr<Engine>> make_engine(const ResolvedModel &model,
                                            const EngineOptions &options) {
    if (options.threads < 0)
        return fail(Errc::InvalidArgument, "threads=", options.threads,
                    " is negative: 0 takes as many as the machine has cores.");
    return is_auto(options) ? make_auto(model, options)
                            : make_named(model, options, options.engine);
}

namespace {

/// The engine of `key`, or the one that `make` gives.
Result<std::shared_ptr<Engine>>
acquire(const std::string &key, const std::function<Result<std::shared_ptr<Engine>>()> &make) {
    static Registry *const registry = new Registry; // outlives every static holder of an engine
    const std::shared_ptr<Slot> slot = registry->slot(key);
    const std::lock_guard lock(slot->mutex);
    if (std::shared_ptr<Engine> engine = slot->engine.lock())
        return engine;
    Result<std::shared_ptr<Engine>> made = make();
    if (made)
        slot->engine = *made;
    return made;
}

} // namespace

Result<std::shared_ptr<Engine>> acquire_engine(const ResolvedModel &model,
                                               const EngineOptions &options) {
    const std::string key = sharing_key(model, options);
    const auto plain = [&] {
        return acquire(key, [&] { return make_engine(model, options); });
    };
    if (options.batch_timeout_ms <= 0)
        return plain();
    const std::string batching = key + "\nbatch " + std::to_string(options.batch_size) +
                                 " in " + std::to_string(options.batch_timeout_ms);
    return acquire(batching, [&]() -> Result<std::shared_ptr<Engine>> {
        auto engine = plain();
        if (!engine || (*engine)->preferred_batch() <= 1)
            return engine; // it takes pictures one by one: there is nothing to wait for
        return make_batching_engine(std::move(*engine), options.batch_size,
                                    std::chrono::milliseconds(options.batch_timeout_ms));
    });
}

std::vector<EngineInfo> engine_backends() {
    std::vector<EngineInfo> infos;
    for (const Backend &backend : kBackends)
        infos.push_back({backend.name, backend.built(), backend.version()});
    return infos;
}

std::string shape_text(const std::vector<std::int64_t> &shape) {
    std::string text;
    for (const std::int64_t d : shape)
        text += (text.empty() ? "" : "x") + std::to_string(d);
    return text.empty() ? "(none)" : text;
}

Result<void> require_fp32(const char *engine, Precision precision) {
    if (precision == Precision::Auto || precision == Precision::Fp32)
        return {};
    return fail(Errc::Unsupported, "Engine ", engine,
                " computes in fp32 only: set precision=fp32 or precision=auto.");
}

Result<void> check_input(const ModelDescriptor &descriptor, const Tensor &input) {
    const ModelInput &in = descriptor.input;
    const std::int64_t channels = in.norm.order == ChannelOrder::Gray ? 1 : 3;
    const auto wrong = [&](const char *what) {
        return fail(Errc::InvalidArgument, "Model ", descriptor.name, ": the input is ",
                    shape_text(input.shape), " where ",
                    shape_text({1, channels, in.height, in.width}), " is expected: ", what,
                    ".");
    };
    if (input.shape.size() != 4)
        return wrong("it is not NCHW");
    const std::int64_t n = input.shape[0], h = input.shape[2], w = input.shape[3];
    if (input.shape[1] != channels)
        return wrong("wrong number of channels");
    if (n != 1 && descriptor.batch == 1)
        return wrong("the file takes one picture at a time");
    if (n < 1 || n > kMaxBatch)
        return wrong("1 to 256 pictures go in at once");
    const std::int64_t step = descriptor.input_step_px;
    const bool free = descriptor.input_size_is_free && h % step == 0 && w % step == 0 &&
                      h >= std::min<std::int64_t>(32, in.height) &&
                      w >= std::min<std::int64_t>(32, in.width);
    if ((h != in.height || w != in.width) && !free)
        return wrong(descriptor.input_size_is_free ? "sides must be multiples of 32"
                                                   : "wrong size");
    if (static_cast<std::int64_t>(input.data.size()) != input.elements())
        return wrong("the values do not fill the shape");
    return {};
}

} // namespace sphere
