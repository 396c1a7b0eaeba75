// SPDX-License-Identifier: MIT
// ONNX Runtime on the CPU: ONNX files only, in fp32.
#include "core/engine/backends.h"

#include <onnxruntime_cxx_api.h>

#include <algorithm>

namespace sphere {
namespace {

constexpr int kBatch = 8; ///< where the file leaves the batch open

// One a process: it owns the library's log and nothing that a model would need of its own.
Ort::Env &environment() {
    static Ort::Env *const env = [] {
        auto *made = new Ort::Env(ORT_LOGGING_LEVEL_ERROR, "sphere");
        made->DisableTelemetryEvents();
        return made;
    }();
    return *env;
}

class OnnxruntimeEngine final : public Engine {
  public:
    OnnxruntimeEngine(Ort::Session session, const ModelDescriptor &descriptor, std::string path)
        : session_(std::move(session)), descriptor_(descriptor), path_(std::move(path)) {}

    // The input to feed, the outputs to ask for, and whether the file bakes its batch.
    Result<void> bind() {
        Ort::AllocatorWithDefaultOptions allocator;
        input_name_ = descriptor_.input.name;
        if (input_name_.empty())
            input_name_ = session_.GetInputNameAllocated(0, allocator).get();
        const auto shape = session_.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
        open_batch_ = descriptor_.batch != 1 && !shape.empty() && shape[0] < 0;
        std::vector<std::string> all;
        for (std::size_t i = 0; i < session_.GetOutputCount(); ++i)
            all.emplace_back(session_.GetOutputNameAllocated(i, allocator).get());
        output_names_ = descriptor_.outputs.empty() ? all : descriptor_.outputs;
        for (const std::string &wanted : output_names_)
            if (std::find(all.begin(), all.end(), wanted) == all.end()) {
                std::string names;
                for (const std::string &name : all)
                    names += (names.empty() ? "" : ", ") + name;
                return fail(Errc::Mismatch, path_, ": the network has no output '", wanted,
                            "' but: ", names, "; correct `outputs` in ", descriptor_.path, ".");
            }
        return {};
    }

    // A file that bakes batch 1 takes its pictures one after another.
    Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) override {
        SPHERE_TRY(check_input(descriptor_, input));
        try {
            const std::int64_t batch = input.shape[0], step = open_batch_ ? batch : 1;
            for (std::int64_t first = 0; first < batch; first += step)
                SPHERE_TRY(run_part(input, first, step, outputs));
            return {};
        } catch (const std::exception &exception) {
            return fail(Errc::Engine, path_,
                        ": ONNX Runtime cannot run the network on an input of shape ",
                        shape_text(input.shape), ": ", exception.what());
        }
    }
    const char *name() const override { return "onnxruntime"; }
    int preferred_batch() const override { return open_batch_ ? kBatch : 1; }

  private:
    // Throws Ort::Exception.
    Result<void> run_part(const Tensor &input, std::int64_t first, std::int64_t count,
                          std::vector<Tensor> &outputs) {
        std::vector<const char *> names;
        for (const std::string &name : output_names_)
            names.push_back(name.c_str());
        const char *const input_name = input_name_.c_str();
        std::vector<std::int64_t> shape = input.shape;
        const std::int64_t each = input.elements() / shape[0];
        shape[0] = count;
        // Over the caller's memory, which Run only reads.
        const Ort::Value value = Ort::Value::CreateTensor<float>(
            Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeCPU),
            const_cast<float *>(input.data.data()) + first * each,
            static_cast<std::size_t>(count * each), shape.data(), shape.size());
        const std::vector<Ort::Value> values = session_.Run(
            Ort::RunOptions{nullptr}, &input_name, &value, 1, names.data(), names.size());
        outputs.resize(values.size());
        for (std::size_t i = 0; i < values.size(); ++i)
            SPHERE_TRY(
                copy_out(values[i], output_names_[i], first, input.shape[0], outputs[i]));
        return {};
    }

    // Rows of pictures from `first` on, of `batch` in all.
    Result<void> copy_out(const Ort::Value &value, const std::string &name, std::int64_t first,
                          std::int64_t batch, Tensor &output) const {
        const auto info = value.GetTensorTypeAndShapeInfo();
        if (info.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
            return fail(Errc::Engine, path_, ": output ", name, " is not a float tensor.");
        std::vector<std::int64_t> shape = info.GetShape();
        const std::int64_t rows = open_batch_ ? batch : 1;
        const auto count = static_cast<std::int64_t>(info.GetElementCount());
        const bool embeds = descriptor_.task == ModelTask::Embed;
        if (shape.empty() || shape[0] != rows || (embeds && count != rows * descriptor_.dims))
            return fail(
                Errc::Mismatch, path_, ": output ", name, " is ", shape_text(shape), " where ",
                embeds ? shape_text({rows, descriptor_.dims}) : std::to_string(rows) + " rows",
                " are expected: correct `dims` or `batch` in ", descriptor_.path, ".");
        shape[0] = batch;
        if (first == 0)
            output.reset(std::move(shape));
        std::copy_n(value.GetTensorData<float>(), count,
                    output.data.data() + first * (count / rows));
        return {};
    }

    Ort::Session session_; ///< Run may be called from several threads at once
    const ModelDescriptor descriptor_;
    std::string input_name_;
    std::vector<std::string> output_names_;
    std::string path_;
    bool open_batch_ = false;
};

Ort::SessionOptions session_options(const EngineOptions &options) {
    Ort::SessionOptions session;
    session.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    session.SetIntraOpNumThreads(options.threads); // 0: as many as the machine has cores
    session.SetInterOpNumThreads(1);
    // Denormals, of which trained files are full, take a hundred times as long.
    session.AddConfigEntry("session.set_denormal_as_zero", "1");
    // Several engines share the cores: a thread that waits must not spin.
    session.AddConfigEntry("session.intra_op.allow_spinning", "0");
    return session;
}

} // namespace

Result<std::shared_ptr<Engine>> make_onnxruntime_engine(const ResolvedModel &model,
                                                        const EngineOptions &options) {
    SPHERE_TRY(require_fp32("onnxruntime", options.precision));
    const ModelDescriptor &descriptor = model.descriptor;
    if (descriptor.framework != "onnx")
        return fail(Errc::Unsupported, "Model ", descriptor.name, " (framework ",
                    descriptor.framework,
                    ") cannot be run by engine onnxruntime, which reads ONNX only: use "
                    "engine=auto.");
    const std::string weights = model.path_of("weights");
    try {
        auto engine = std::make_shared<OnnxruntimeEngine>(
            Ort::Session(environment(), weights.c_str(), session_options(options)), descriptor,
            weights);
        SPHERE_TRY(engine->bind());
        // A network that does not fit its descriptor fails here, not at the first frame.
        Tensor zeros;
        zeros.reset({1, descriptor.input.norm.order == ChannelOrder::Gray ? 1 : 3,
                     descriptor.input.height, descriptor.input.width});
        std::vector<Tensor> outputs;
        SPHERE_TRY(engine->run(zeros, outputs));
        return std::shared_ptr<Engine>(std::move(engine));
    } catch (const std::exception &exception) {
        return fail(Errc::Engine, weights,
                    ": ONNX Runtime cannot load the network: ", exception.what());
    }
}

bool onnxruntime_engine_built() {
    return true;
}

std::string onnxruntime_engine_version() {
    return OrtGetApiBase()->GetVersionString();
}

} // namespace sphere
