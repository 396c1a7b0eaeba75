// SPDX-License-Identifier: MIT
// OpenCV's dnn module: ONNX, Caffe and what else readNet knows.
#include "core/engine/backends.h"

#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>

#include <cstring>
#include <mutex>

namespace sphere {
namespace {

std::string shape_text(const std::vector<std::int64_t> &shape) {
    std::string text;
    for (const std::int64_t d : shape)
        text += (text.empty() ? "" : "x") + std::to_string(d);
    return text;
}

class OpencvEngine final : public Engine {
  public:
    OpencvEngine(const cv::dnn::Net &net, const ModelDescriptor &descriptor, std::string path)
        : net_(net), input_name_(descriptor.input.name),
          output_names_(descriptor.outputs.begin(), descriptor.outputs.end()),
          path_(std::move(path)), baked_batch_(descriptor.batch == 1) {}

    Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) override {
        if (input.shape.size() != 4 || input.elements() <= 0 ||
            input.data.size() < static_cast<std::size_t>(input.elements()))
            return fail(Errc::InvalidArgument, path_, ": an input of shape ",
                        shape_text(input.shape), " is not a non-empty NCHW tensor.");
        if (baked_batch_ && input.shape[0] != 1)
            return fail(Errc::InvalidArgument, path_,
                        ": the file takes one picture at a time, not ", input.shape[0], ".");
        try {
            const std::lock_guard lock(mutex_);
            const int sizes[4] = {
                static_cast<int>(input.shape[0]), static_cast<int>(input.shape[1]),
                static_cast<int>(input.shape[2]), static_cast<int>(input.shape[3])};
            // A header over the caller's memory; OpenCV copies it into its own input blob.
            const cv::Mat blob(4, sizes, CV_32F, const_cast<float *>(input.data.data()));
            net_.setInput(blob, input_name_);
            net_.forward(blobs_, output_names_);
            return copy_out(outputs);
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
    Result<void> copy_out(std::vector<Tensor> &outputs) {
        outputs.resize(blobs_.size());
        for (std::size_t i = 0; i < blobs_.size(); ++i) {
            const cv::Mat &blob = blobs_[i];
            if (blob.type() != CV_32F || !blob.isContinuous())
                return fail(Errc::Engine, path_, ": output ", output_names_[i],
                            " is not a dense float tensor.");
            outputs[i].shape.assign(blob.size.p, blob.size.p + blob.dims);
            outputs[i].data.resize(blob.total());
            std::memcpy(outputs[i].data.data(), blob.ptr<float>(),
                        blob.total() * sizeof(float));
        }
        return {};
    }

    std::mutex mutex_; ///< a Net holds its activations: one run at a time
    cv::dnn::Net net_;
    std::string input_name_;
    std::vector<cv::String> output_names_;
    std::vector<cv::Mat> blobs_;
    std::string path_;
    bool baked_batch_;
};

Result<cv::dnn::Net> read_net(const ResolvedModel &model) {
    const std::string weights = model.path_of("weights");
    const std::string graph = model.path_of("graph");
    try {
        cv::dnn::Net net;
        if (model.descriptor.framework == "onnx")
            net = cv::dnn::readNetFromONNX(weights);
        else if (model.descriptor.framework == "caffe")
            net = cv::dnn::readNetFromCaffe(graph, weights);
        else
            net = cv::dnn::readNet(weights, graph);
        if (net.empty())
            return fail(Errc::Engine, weights, ": OpenCV found no network in the file.");
        net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
        net.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
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
    SPHERE_TRY(engine.run(zeros, outputs));
    if (descriptor.task == ModelTask::Embed && !outputs.empty() &&
        outputs[0].elements() != descriptor.dims)
        return fail(Errc::Mismatch, descriptor.path, ": the descriptor says ", descriptor.dims,
                    " dims and the network gives ", outputs[0].elements(), " (",
                    shape_text(outputs[0].shape), ").");
    return {};
}

} // namespace

Result<std::shared_ptr<Engine>> make_opencv_engine(const ResolvedModel &model,
                                                   const EngineOptions &options) {
    if (options.precision != Precision::Auto && options.precision != Precision::Fp32)
        return fail(
            Errc::Unsupported,
            "Engine opencv computes in fp32 only: set precision=fp32 or precision=auto.");
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

} // namespace sphere
