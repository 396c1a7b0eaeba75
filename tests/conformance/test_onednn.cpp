// SPDX-License-Identifier: MIT
// Engine onednn gives the numbers that engine opencv gives, on every network we have.
#include "core/base/cpu.h"
#include "core/base/log.h"
#include "core/base/sha256.h"
#include "core/engine/calibration.h"

#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>

namespace sphere {
namespace {

struct Case {
    const char *model;
    float low, high;           ///< range of the input
    int width = 0, height = 0; ///< 0 = the descriptor's
};

bool onednn_is_built() {
    for (const EngineInfo &info : engine_backends())
        if (std::string(info.name) == "onednn")
            return info.built;
    return false;
}

Tensor random_input(const ModelDescriptor &model, const Case &c, int batch, unsigned seed = 7) {
    Tensor input;
    const int channels = model.input.norm.order == ChannelOrder::Gray ? 1 : 3;
    input.reset({batch, channels, c.height > 0 ? c.height : model.input.height,
                 c.width > 0 ? c.width : model.input.width});
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> values(c.low, c.high);
    for (float &x : input.data)
        x = values(random);
    return input;
}

// Largest difference, relative to the largest number of the reference.
double relative_difference(const Tensor &a, const Tensor &reference) {
    if (a.shape != reference.shape)
        return INFINITY;
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < a.data.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(reference.data[i])));
        const double d = std::abs(static_cast<double>(a.data[i]) - reference.data[i]);
        difference = std::isnan(d) ? INFINITY : std::max(difference, d);
    }
    return difference / std::max(largest, 1e-20);
}

double cosine(const Tensor &got, const Tensor &want) {
    if (got.shape != want.shape)
        return -1;
    double dot = 0, a = 0, b = 0;
    for (std::size_t k = 0; k < got.data.size(); ++k) {
        dot += static_cast<double>(got.data[k]) * want.data[k];
        a += static_cast<double>(got.data[k]) * got.data[k];
        b += static_cast<double>(want.data[k]) * want.data[k];
    }
    return dot / std::sqrt(a * b);
}

class Onednn : public testing::TestWithParam<Case> {
  protected:
    void SetUp() override {
        if (!onednn_is_built())
            GTEST_SKIP() << "built without oneDNN";
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
        const ModelStore store = ModelStore::from_environment();
        auto found = store.find(GetParam().model);
        ASSERT_TRUE(found.ok()) << found.error().message;
        model_.descriptor = *found;
        if (found->framework == "caffe")
            make_weights();
        else
            model_.paths = {store.locate(*found, found->files[0])};
        if (model_.paths.empty() || model_.paths[0].empty())
            GTEST_SKIP() << "model " << GetParam().model << " is not installed";
    }
    // The true architecture with weights of our own: nobody may pass SphereFace's on.
    void make_weights() {
        const char *root = std::getenv("SPHERE_SOURCE_ROOT");
        ASSERT_NE(root, nullptr);
        const std::string writer =
            "/usr/bin/python3 " + std::string(root) + "/tests/support/caffemodel_writer.py";
        static const testing_support::TemporaryDirectory directory; // written once
        const std::string prototxt = directory.path() + "/net.prototxt",
                          weights = directory.path() + "/net.caffemodel";
        if (!directory.has("net.caffemodel")) {
            ASSERT_EQ(std::system((writer + " --make-prototxt " + prototxt).c_str()), 0);
            ASSERT_EQ(
                std::system((writer + " --prototxt " + prototxt + " --out " + weights).c_str()),
                0);
        }
        for (const ModelFile &file : model_.descriptor.files)
            model_.paths.push_back(file.role == "graph" ? prototxt : weights);
    }
    std::shared_ptr<Engine> engine(const char *name, Precision precision = Precision::Fp32,
                                   int threads = 1) {
        EngineOptions options;
        options.engine = name;
        options.precision = precision;
        options.threads = threads;
        auto made = make_engine(model_, options);
        EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
        return made.ok() ? *made : nullptr;
    }
    // Links to the files, so that a calibration is stored beside them.
    void in_a_folder_of_its_own() {
        for (std::string &path : model_.paths) {
            const std::string link =
                folder_.path() + "/" + std::filesystem::path(path).filename().string();
            std::filesystem::create_symlink(path, link);
            path = link;
        }
    }
    static bool takes_int8(const Engine &engine) {
        for (const KernelUse &use : engine.kernels())
            if (use.precision == "int8")
                return true;
        return false;
    }
    // precision=auto says what it measured, and does what it says.
    void auto_takes_what_it_says() {
        std::string said;
        set_log_sink([&](LogLevel, std::string_view message) { said += message; });
        const auto automatic = engine("onednn", Precision::Auto);
        set_log_sink({});
        ASSERT_TRUE(automatic);
        EXPECT_NE(said.find("ms a picture in int8"), std::string::npos) << said;
        EXPECT_EQ(takes_int8(*automatic), said.find("int8 is used") != std::string::npos);
    }
    ResolvedModel model_;
    testing_support::TemporaryDirectory folder_;
};

TEST_P(Onednn, AgreesWithOpencv) {
    const auto ours = engine("onednn"), peer = engine("opencv");
    ASSERT_TRUE(ours && peer);
    for (const unsigned seed : {1U, 2U}) {
        const Tensor input = random_input(model_.descriptor, GetParam(), 1, seed);
        std::vector<Tensor> got, want;
        const auto ran = ours->run(input, got), reference = peer->run(input, want);
        ASSERT_TRUE(ran.ok()) << ran.error().message;
        ASSERT_TRUE(reference.ok()) << reference.error().message;
        ASSERT_EQ(got.size(), want.size());
        for (std::size_t i = 0; i < got.size(); ++i)
            EXPECT_LT(relative_difference(got[i], want[i]), 1e-3) << "output " << i;
    }
}

TEST_P(Onednn, BatchesAsOneByOne) {
    // The graphs allow it, whatever the files' exporters thought. Two threads share a batch.
    const auto ours = engine("onednn", Precision::Fp32, 2);
    ASSERT_TRUE(ours);
    EXPECT_GT(ours->preferred_batch(), 1);
    for (const int batch : {2, 3, 11}) {
        const Tensor input = random_input(model_.descriptor, GetParam(), batch);
        std::vector<Tensor> together, alone;
        const auto ran = ours->run(input, together);
        ASSERT_TRUE(ran.ok()) << ran.error().message;
        const std::size_t picture = input.data.size() / static_cast<std::size_t>(batch);
        for (int n = 0; n < batch; ++n) {
            Tensor one = input;
            one.shape[0] = 1;
            one.data.assign(input.data.begin() + static_cast<std::ptrdiff_t>(n * picture),
                            input.data.begin() +
                                static_cast<std::ptrdiff_t>((n + 1) * picture));
            ASSERT_TRUE(ours->run(one, alone).ok());
            for (std::size_t i = 0; i < alone.size(); ++i) {
                ASSERT_EQ(together[i].shape[0], batch);
                Tensor part = alone[i];
                const std::size_t each = part.data.size();
                part.data.assign(
                    together[i].data.begin() + static_cast<std::ptrdiff_t>(n * each),
                    together[i].data.begin() + static_cast<std::ptrdiff_t>((n + 1) * each));
                EXPECT_LT(relative_difference(part, alone[i]), 1e-4);
            }
        }
    }
}

TEST_P(Onednn, Bf16IsNear) {
    const auto ours = engine("onednn", Precision::Bf16), peer = engine("onednn");
    ASSERT_TRUE(ours && peer);
    const Tensor input = random_input(model_.descriptor, GetParam(), 1);
    std::vector<Tensor> got, want;
    ASSERT_TRUE(ours->run(input, got).ok());
    ASSERT_TRUE(peer->run(input, want).ok());
    for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_GT(cosine(got[i], want[i]), 0.99) << "output " << i;
}

TEST_P(Onednn, Int8IsNearOnceCalibrated) {
    in_a_folder_of_its_own();
    EngineOptions options;
    options.engine = "onednn";
    options.precision = Precision::Int8;
    const auto without = make_engine(model_, options);
    if (model_.descriptor.task == ModelTask::Embed) {
        ASSERT_FALSE(without.ok());
        EXPECT_TRUE(without.error().code == Errc::Unsupported || // no AVX2
                    without.error().message.find("spherectl quantize") != std::string::npos)
            << without.error().message;
    } else {
        EXPECT_TRUE(without.ok()); // in another precision
    }
    std::vector<Tensor> inputs;
    for (const unsigned seed : {11U, 12U, 13U, 14U})
        inputs.push_back(random_input(model_.descriptor, GetParam(), 1, seed));
    const auto calibration = calibrate_int8(model_, inputs);
    if (!calibration && calibration.error().code == Errc::Unsupported)
        GTEST_SKIP() << calibration.error().message; // a CPU without AVX2
    ASSERT_TRUE(calibration.ok()) << calibration.error().message;
    EXPECT_GT(calibration->cosine, 0.98);
    ASSERT_TRUE(save_calibration(model_, *calibration).ok());
    const auto int8 = engine("onednn", Precision::Int8, 2), fp32 = engine("onednn");
    ASSERT_TRUE(int8 && fp32);
    std::vector<Tensor> got, want;
    const Tensor input = random_input(model_.descriptor, GetParam(), 3);
    ASSERT_TRUE(int8->run(input, got).ok());
    ASSERT_TRUE(fp32->run(input, want).ok());
    double sum = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
        sum += cosine(got[i], want[i]);
    EXPECT_GT(sum / static_cast<double>(got.size()), 0.97);
    if (int8_is_accurate(*calibration, model_.descriptor.task))
        auto_takes_what_it_says();
}

TEST_P(Onednn, ACalibrationForAnotherCpuIsRefused) {
    if (detected_cpu_extensions().avx512_vnni)
        GTEST_SKIP() << "this CPU takes all there are";
    in_a_folder_of_its_own();
    Int8Calibration calibration;
    calibration.model = model_.descriptor.name;
    const auto sha256 = sha256_of_file(model_.path_of("weights"));
    ASSERT_TRUE(sha256.ok());
    calibration.sha256 = *sha256;
    calibration.cosine = 1;
    calibration.weight_bits = 8;
    ASSERT_TRUE(save_calibration(model_, calibration).ok());
    EngineOptions options;
    options.engine = "onednn";
    options.precision = Precision::Int8;
    const auto int8 = make_engine(model_, options);
    ASSERT_FALSE(int8.ok());
    EXPECT_NE(int8.error().message.find("int8"), std::string::npos);
    EXPECT_NE(int8.error().message.find(model_.descriptor.name), std::string::npos);
    options.precision = Precision::Auto; // goes on without it
    const auto automatic = make_engine(model_, options);
    ASSERT_TRUE(automatic.ok());
    EXPECT_FALSE(takes_int8(**automatic));
    calibration.weight_bits = 9;
    ASSERT_TRUE(save_calibration(model_, calibration).ok());
    const auto strange = load_calibration(model_);
    ASSERT_FALSE(strange.ok());
    EXPECT_EQ(strange.error().code, Errc::Corrupt);
}

TEST_P(Onednn, ACalibrationOfOtherWeightsIsRefused) {
    in_a_folder_of_its_own();
    Int8Calibration calibration;
    calibration.model = model_.descriptor.name;
    calibration.sha256 = std::string(64, 'a');
    const auto path = save_calibration(model_, calibration);
    ASSERT_TRUE(path.ok()) << path.error().message;
    const auto other = load_calibration(model_);
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().code, Errc::Mismatch);
    EXPECT_NE(other.error().message.find(*path), std::string::npos);
    EXPECT_NE(other.error().message.find("quantize"), std::string::npos);
    std::ofstream(*path) << "{\"schema\": \"sphere.int8/1\", \"ranges\": [";
    const auto torn = load_calibration(model_);
    ASSERT_FALSE(torn.ok());
    EXPECT_EQ(torn.error().code, Errc::Corrupt);
    EngineOptions options;
    options.engine = "onednn"; // precision=auto goes on without it
    EXPECT_TRUE(make_engine(model_, options).ok());
}

TEST_P(Onednn, ThreadsDoNotChangeTheResult) {
    const auto one = engine("onednn", Precision::Fp32, 1),
               two = engine("onednn", Precision::Fp32, 2);
    ASSERT_TRUE(one && two);
    const Tensor input = random_input(model_.descriptor, GetParam(), 1);
    std::vector<Tensor> a, b;
    ASSERT_TRUE(one->run(input, a).ok());
    ASSERT_TRUE(two->run(input, b).ok());
    for (std::size_t i = 0; i < a.size(); ++i)
        EXPECT_LT(relative_difference(b[i], a[i]), 1e-4);
}

TEST_P(Onednn, RefusesWrongChannels) {
    const auto ours = engine("onednn");
    ASSERT_TRUE(ours);
    Tensor input;
    input.reset({1, 7, model_.descriptor.input.height, model_.descriptor.input.width});
    std::vector<Tensor> outputs;
    const auto ran = ours->run(input, outputs);
    ASSERT_FALSE(ran.ok());
    EXPECT_EQ(ran.error().code, Errc::InvalidArgument) << ran.error().message;
}

INSTANTIATE_TEST_SUITE_P(Networks, Onednn,
                         testing::Values(Case{"fr_feature", -1, 1}, Case{"ultralight", -1, 1},
                                         Case{"fr_landmark", 0, 1}, Case{"yunet-320", 0, 255},
                                         Case{"yunet-640", 0, 255},
                                         Case{"yunet-640", 0, 255, 480, 352},
                                         Case{"sphereface20", -1, 1}),
                         [](const auto &info) {
                             std::string name = info.param.model;
                             for (char &c : name)
                                 c = c == '-' ? '_' : c;
                             return name + (info.param.width > 0 ? "_other_size" : "");
                         });

} // namespace
} // namespace sphere
