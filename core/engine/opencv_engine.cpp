// SPDX-License-Identifier: MIT
// OpenCV's dnn module: ONNX, Caffe and what else readNet knows.
#include "core/engine/opencv_engine_part.h"

#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>

#include <cstring>
#include <mutex>

namespace sphere {
namespace {

class OpencvEngine final : public Engine {
  public:
    OpencvEngine(const cv::dnn::Net &net, const ModelDescriptor &descriptor, std::string path)
        : net_(net), descriptor_(descriptor),
          output_names_(descriptor.outputs.begin(), descriptor.outputs.end()),
          path_(std::move(path)) {
        if (output_names_.empty())
            output_names_ = net_.getUnconnectedOutLayersNames();
    }

    Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) override {
        SPHERE_TRY(check_input(descriptor_, input));
        try {
            const std::lock_guard lock(mutex_);
            const int sizes[4] = {
                static_cast<int>(input.shape[0]), static_cast<int>(input.shape[1]),
                static_cast<int>(input.shape[2]), static_cast<int>(input.shape[3])};
            // A header over the caller's memory; OpenCV copies it into its own input blob.
            const cv::Mat blob(4, sizes, CV_32F, const_cast<float *>(input.data.data()));
            net_.setInput(blob, descriptor_.input.name);
            net_.forward(blobs_, output_names_);
            return copy_out(input.shape[0], outputs);
        } catch (const std::exception &exception) {
            return fail(Errc::Engine, path_,
                        ": OpenCV cannot run the network on an input of shape ",
                        shape_text(input.shape), ": ", exception.what());
        }
    }
    const char *name() const override { return "opencv"; }
    // Each change of the batch size makes OpenCV 4.6 lay the network out anew, which costs more
    // than a batch saves; faces go through one by one.
    int preferred_batch() const override { return 1; }

  private:
    Result<void> copy_out(std::int64_t batch, std::vector<Tensor> &outputs) {
        const bool embeds = descriptor_.task == ModelTask::Embed;
        outputs.resize(blobs_.size());
        for (std::size_t i = 0; i < blobs_.size(); ++i) {
            const cv::Mat &blob = blobs_[i];
            if (blob.type() != CV_32F || !blob.isContinuous())
                return fail(Errc::Engine, path_, ": output ", output_names_[i],
                            " is not a dense float tensor.");
            outputs[i].shape.assign(blob.size.p, blob.size.p + blob.dims);
            // A file that bakes batch 1 unsaid gives one row of several faces' numbers.
            if (outputs[i].shape[0] != batch ||
                (embeds && outputs[i].elements() != batch * descriptor_.dims))
                return fail(Errc::Mismatch, path_, ": output ", output_names_[i], " is ",
                            shape_text(outputs[i].shape), " where ",
                            embeds ? shape_text({batch, descriptor_.dims})
                                   : std::to_string(batch) + " rows",
                            " are expected: correct `dims` or `batch` in ", descriptor_.path,
                            ".");
            outputs[i].data.resize(blob.total());
            std::memcpy(outputs[i].data.data(), blob.ptr<float>(),
                        blob.total() * sizeof(float));
        }
        return {};
    }

    std::mutex mutex_; ///< a Net holds its activations: one run at a time
    cv::dnn::Net net_;
    const ModelDescriptor descriptor_;
    std::vector<cv::String> output_names_;
    std::vector<cv::Mat> blobs_;
    std::string path_;
};

Result<void> check_names(cv::dnn::Net &net, const ModelDescriptor &descriptor,
                         const std::string &path) {
    for (const std::string &wanted : descriptor.outputs)
        if (net.getLayerId(wanted) < 0) {
            std::string names;
            for (const cv::String &name : net.getUnconnectedOutLayersNames())
                names += (names.empty() ? "" : ", ") + name;
            return fail(Errc::Mismatch, path, ": the network has no output '", wanted,
                        "' but: ", names, "; correct `outputs` in ", descriptor.path, ".");
        }
    return {};
}

Result<cv::dnn::Net> read_net(const ResolvedModel &model) {
    const std::string weights = model.path_of("weights");
    const std::string graph = model.path_of("graph");
    try {
        cv::dnn::Net net;
        if (model.descriptor.framework == "onnx")
            net = cv::dnn::readNetFromONNX(weights);
        else if (model.descriptor.framework == "caffe")
            net = cv::dnn::readNetFromCaffe(graph, weights);
        else if (model.descriptor.framework == "torch")
            net = cv::dnn::readNetFromTorch(weights);
        else
            net = cv::dnn::readNet(weights, graph);
        if (net.empty())
            return fail(Errc::Engine, weights, ": OpenCV found no network in the file.");
        net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
        net.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
        SPHERE_TRY(check_names(net, model.descriptor, weights));
        return net;
    } catch (const std::exception &exception) {
        return fail(Errc::Engine, weights,
                    ": OpenCV cannot load the network: ", exception.what());
    }
}

// A network that does not fit its descriptor fails here, not at the first frame.
Result<void> try_out(Engine &engine, const ModelDescriptor &descriptor) {
    Tensor zeros;
    const int channels = descriptor.input.norm.order == ChannelOrder::Gray ? 1 : 3;
    zeros.reset({1, channels, descriptor.input.height, descriptor.input.width});
    std::vector<Tensor> outputs;
    return engine.run(zeros, outputs);
}

Result<std::shared_ptr<Engine>> make(const ResolvedModel &model, const EngineOptions &options) {
    SPHERE_TRY(require_fp32("opencv", options.precision));
    const ModelDescriptor &descriptor = model.descriptor;
    if (descriptor.framework == "fake" || descriptor.framework == "opencv-cascade")
        return fail(Errc::Unsupported, "Model ", descriptor.name, " (framework ",
                    descriptor.framework, ") is not a network that engine opencv can run.");
    auto net = read_net(model);
    if (!net)
        return std::move(net).error();
    if (options.threads > 0)
        cv::setNumThreads(options.threads); // one number for the whole process
    std::shared_ptr<Engine> engine =
        std::make_shared<OpencvEngine>(*net, descriptor, model.path_of("weights"));
    SPHERE_TRY(try_out(*engine, descriptor));
    return engine;
}

std::string version() {
    return cv::getVersionString();
}

} // namespace
} // namespace sphere

const sphere::OpencvEnginePart sphere_opencv_engine = {&sphere::make, &sphere::version};
