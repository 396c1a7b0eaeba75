// SPDX-License-Identifier: MIT
// What every Engine must do, and what each of them does besides.
#include "core/engine/engine.h"

#include "core/base/log.h"

#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

namespace sphere {
namespace {

using testing_support::kTinyCell;
using testing_support::kTinyDims;
using testing_support::kTinySide;
using testing_support::TemporaryDirectory;
using testing_support::tiny_model;

struct EngineCase {
    const char *title;
    const char *engine;
    const char *framework;
};

bool built(const std::string &name) {
    for (const EngineInfo &info : engine_backends())
        if (name == info.name)
            return info.built;
    return false;
}

/// Pictures of smooth, different contents: picture i is a wave of its own.
Tensor pictures(int n, int first = 0) {
    Tensor tensor;
    tensor.reset({n, 3, kTinySide, kTinySide});
    std::size_t at = 0;
    for (int i = first; i < first + n; ++i)
        for (int c = 0; c < 3; ++c)
            for (int y = 0; y < kTinySide; ++y)
                for (int x = 0; x < kTinySide; ++x)
                    tensor.data[at++] = std::sin(0.7F * static_cast<float>(i + 1) +
                                                 0.3F * static_cast<float>(x * (c + 1)) -
                                                 0.2F * static_cast<float>(y * (i + 1)));
    return tensor;
}

class EngineConformance : public ::testing::TestWithParam<EngineCase> {
  protected:
    void SetUp() override {
        if (!built(GetParam().engine))
            GTEST_SKIP() << "engine " << GetParam().engine << " is not built in";
        if (testing_support::fake_engine_only() && GetParam().engine != std::string("fake"))
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
        options_.engine = GetParam().engine;
        model_ = tiny_model(directory_, GetParam().framework);
    }
    std::shared_ptr<Engine> make() {
        auto engine = make_engine(model_, options_);
        EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().message);
        return engine.ok() ? *engine : nullptr;
    }

    TemporaryDirectory directory_;
    EngineOptions options_;
    ResolvedModel model_;
};

TEST_P(EngineConformance, GivesARowOfNumbersForEachPicture) {
    const auto engine = make();
    ASSERT_TRUE(engine);
    EXPECT_STREQ(engine->name(), GetParam().engine);
    EXPECT_GE(engine->preferred_batch(), 1);
    std::vector<Tensor> out;
    for (const int n : {1, 3, 1}) {
        ASSERT_TRUE(engine->run(pictures(n), out).ok());
        ASSERT_EQ(out.size(), 1u);
        EXPECT_EQ(out[0].shape, (std::vector<std::int64_t>{n, kTinyDims}));
        EXPECT_EQ(out[0].data.size(), static_cast<std::size_t>(n * kTinyDims));
    }
}

TEST_P(EngineConformance, EqualPicturesGiveEqualNumbersAndOthersOthers) {
    const auto engine = make();
    ASSERT_TRUE(engine);
    std::vector<Tensor> first, again, other;
    ASSERT_TRUE(engine->run(pictures(1), first).ok());
    ASSERT_TRUE(engine->run(pictures(1, 5), other).ok());
    ASSERT_TRUE(engine->run(pictures(1), again).ok());
    EXPECT_EQ(first[0].data, again[0].data);
    double difference = 0;
    for (std::size_t i = 0; i < other[0].data.size(); ++i)
        difference =
            std::max<double>(difference, std::abs(other[0].data[i] - first[0].data[i]));
    EXPECT_GT(difference, 0.1);
}

TEST_P(EngineConformance, ABatchIsItsPictures) {
    const auto engine = make();
    ASSERT_TRUE(engine);
    std::vector<Tensor> batch, single;
    ASSERT_TRUE(engine->run(pictures(4), batch).ok());
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(engine->run(pictures(1, i), single).ok());
        for (int d = 0; d < kTinyDims; ++d)
            EXPECT_NEAR(batch[0].data[static_cast<std::size_t>(i * kTinyDims + d)],
                        single[0].data[static_cast<std::size_t>(d)], 1e-5);
    }
}

TEST_P(EngineConformance, ReusesTheOutputsMemory) {
    const auto engine = make();
    ASSERT_TRUE(engine);
    std::vector<Tensor> out;
    ASSERT_TRUE(engine->run(pictures(2), out).ok());
    const float *memory = out[0].data.data();
    ASSERT_TRUE(engine->run(pictures(1), out).ok());
    EXPECT_EQ(out[0].data.data(), memory);
}

TEST_P(EngineConformance, RefusesInputsThatDoNotFit) {
    const auto engine = make();
    ASSERT_TRUE(engine);
    std::vector<Tensor> out;
    Tensor flat, gray, wide, none, torn = pictures(1);
    flat.reset({3 * kTinySide * kTinySide});
    gray.reset({1, 1, kTinySide, kTinySide});
    wide.reset({1, 3, kTinySide, 2 * kTinySide});
    none.reset({0, 3, kTinySide, kTinySide});
    torn.data.pop_back();
    for (const Tensor *wrong : {&flat, &gray, &wide, &none, &torn}) {
        const auto result = engine->run(*wrong, out);
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code, Errc::InvalidArgument);
        EXPECT_NE(result.error().message.find("1x3x16x16"), std::string::npos)
            << result.error().message;
    }
    EXPECT_TRUE(engine->run(pictures(1), out).ok()); // and goes on
}

// Singly and said so, or in batches that give what singles give.
TEST_P(EngineConformance, ABakedBatchIsKnown) {
    model_.descriptor.batch = 1;
    const auto engine = make();
    ASSERT_TRUE(engine);
    std::vector<Tensor> one, both;
    ASSERT_TRUE(engine->run(pictures(1), one).ok());
    const auto two = engine->run(pictures(2), both);
    if (engine->preferred_batch() == 1) {
        ASSERT_FALSE(two.ok());
        EXPECT_EQ(two.error().code, Errc::InvalidArgument);
        return;
    }
    ASSERT_TRUE(two.ok()) << two.error().message;
    ASSERT_EQ(both[0].shape[0], 2);
    ASSERT_EQ(both[0].data.size(), 2 * one[0].data.size());
    for (std::size_t i = 0; i < one[0].data.size(); ++i)
        EXPECT_NEAR(both[0].data[i], one[0].data[i], 1e-4F) << i;
}

TEST_P(EngineConformance, ThreadsGetTheirOwnResults) {
    const auto engine = make();
    ASSERT_TRUE(engine);
    std::vector<std::vector<float>> wanted;
    std::vector<Tensor> out;
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(engine->run(pictures(1, i), out).ok());
        wanted.push_back(out[0].data);
    }
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            std::vector<Tensor> mine;
            const Tensor picture = pictures(1, i);
            for (int k = 0; k < 50; ++k)
                if (!engine->run(picture, mine).ok() ||
                    mine[0].data != wanted[static_cast<std::size_t>(i)])
                    ++wrong;
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST_P(EngineConformance, SaysWhichPrecisionsItLacks) {
    for (const Precision precision : {Precision::Auto, Precision::Fp32}) {
        options_.precision = precision;
        EXPECT_TRUE(make_engine(model_, options_).ok());
    }
    for (const Precision precision : {Precision::Bf16, Precision::Int8}) {
        options_.precision = precision;
        const auto engine = make_engine(model_, options_);
        if (engine.ok())
            continue; // it has it
        EXPECT_TRUE(engine.error().code == Errc::Unsupported ||
                    engine.error().code == Errc::NotFound) // not calibrated
            << engine.error().message;
        EXPECT_NE(engine.error().message.find("precision=fp32"), std::string::npos);
    }
}

TEST_P(EngineConformance, OneProcessSharesOneEngine) {
    auto first = acquire_engine(model_, options_);
    auto second = acquire_engine(model_, options_);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(first->get(), second->get());

    EngineOptions other = options_;
    other.threads = 2;
    auto third = acquire_engine(model_, other);
    ASSERT_TRUE(third.ok());
    EXPECT_NE(first->get(), third->get());

    // It lives as long as somebody holds it.
    const std::weak_ptr<Engine> watch = *first;
    *first = nullptr;
    EXPECT_FALSE(watch.expired());
    *second = nullptr;
    EXPECT_TRUE(watch.expired());
}

TEST_P(EngineConformance, AnInstanceIdSharesWhateverElseDiffers) {
    EngineOptions one = options_, two = options_;
    one.instance_id = two.instance_id = "camera";
    two.threads = 3;
    auto first = acquire_engine(model_, one);
    auto second = acquire_engine(model_, two);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(first->get(), second->get());
    two.instance_id = "door";
    auto third = acquire_engine(model_, two);
    ASSERT_TRUE(third.ok());
    EXPECT_NE(first->get(), third->get());
    // Never another network's engine, though.
    ResolvedModel other = model_;
    other.sha256 = "of another file";
    auto fourth = acquire_engine(other, one);
    ASSERT_TRUE(fourth.ok());
    EXPECT_NE(first->get(), fourth->get());
}

TEST_P(EngineConformance, ManyThreadsLoadItOnce) {
    std::vector<std::shared_ptr<Engine>> got(8);
    std::vector<std::thread> threads;
    for (std::shared_ptr<Engine> &mine : got)
        threads.emplace_back([&] {
            if (auto engine = acquire_engine(model_, options_); engine.ok())
                mine = *engine;
        });
    for (std::thread &thread : threads)
        thread.join();
    ASSERT_TRUE(got[0]);
    for (const std::shared_ptr<Engine> &engine : got)
        EXPECT_EQ(engine.get(), got[0].get());
}

TEST_P(EngineConformance, ThreadsBelowZeroAreAnError) {
    options_.threads = -1;
    const auto engine = make_engine(model_, options_);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Errc::InvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Backends, EngineConformance,
                         ::testing::Values(EngineCase{"opencv_onnx", "opencv", "onnx"},
                                           EngineCase{"opencv_caffe", "opencv", "caffe"},
                                           EngineCase{"onednn_onnx", "onednn", "onnx"},
                                           EngineCase{"onednn_caffe", "onednn", "caffe"},
                                           EngineCase{"onnxruntime", "onnxruntime", "onnx"},
                                           EngineCase{"fake", "fake", "fake"}),
                         [](const auto &info) { return std::string(info.param.title); });

/// The networks' numbers, worked out here.
float mean_of_cell(const Tensor &picture, int output) {
    const int cells = kTinySide / kTinyCell;
    const int c = output / (cells * cells), gy = output / cells % cells, gx = output % cells;
    double sum = 0;
    for (int y = 0; y < kTinyCell; ++y)
        for (int x = 0; x < kTinyCell; ++x)
            sum += picture.data[static_cast<std::size_t>(
                (c * kTinySide + gy * kTinyCell + y) * kTinySide + gx * kTinyCell + x)];
    return static_cast<float>(sum / (kTinyCell * kTinyCell));
}

EngineOptions opencv() {
    EngineOptions options;
    options.engine = "opencv";
    return options;
}

class OpencvEngine : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!built("opencv"))
            GTEST_SKIP() << "engine opencv is not built in";
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
    }
    Error load_error(const ResolvedModel &model) {
        const auto engine = make_engine(model, opencv());
        EXPECT_FALSE(engine.ok());
        return engine.ok() ? Error{} : engine.error();
    }
    TemporaryDirectory directory_;
};

TEST_F(OpencvEngine, ComputesTheNetwork) {
    for (const char *framework : {"onnx", "caffe"}) {
        auto engine = make_engine(tiny_model(directory_, framework), opencv());
        ASSERT_TRUE(engine.ok()) << engine.error().message;
        EXPECT_STREQ((*engine)->name(), "opencv");
        std::vector<Tensor> out;
        const Tensor picture = pictures(1, 2);
        ASSERT_TRUE((*engine)->run(picture, out).ok());
        for (int i = 0; i < kTinyDims; ++i)
            EXPECT_NEAR(out[0].data[static_cast<std::size_t>(i)], mean_of_cell(picture, i),
                        1e-5)
                << framework << " output " << i;
    }
}

TEST_F(OpencvEngine, AFileThatIsNoNetworkIsNamed) {
    for (const char *framework : {"onnx", "caffe"}) {
        const ResolvedModel model = tiny_model(directory_, framework);
        for (const std::string &content :
             {std::string(), std::string("no network"), std::string(3000, '\xff')}) {
            directory_.write(framework == std::string("onnx") ? "tiny.onnx" : "tiny.prototxt",
                             content);
            const Error error = load_error(model);
            EXPECT_TRUE(error.code == Errc::Engine || error.code == Errc::Mismatch)
                << error.message;
            EXPECT_NE(error.message.find(directory_.path()), std::string::npos)
                << error.message;
        }
    }
}

TEST_F(OpencvEngine, AMissingFileIsNamed) {
    ResolvedModel model = tiny_model(directory_, "onnx");
    model.paths[0] = directory_.path() + "/gone.onnx";
    const Error error = load_error(model);
    EXPECT_EQ(error.code, Errc::Engine);
    EXPECT_NE(error.message.find("gone.onnx"), std::string::npos) << error.message;
}

TEST_F(OpencvEngine, ADescriptorOfOtherDimsFailsAtLoad) {
    ResolvedModel model = tiny_model(directory_, "onnx");
    model.descriptor.dims = 512;
    const Error error = load_error(model);
    EXPECT_EQ(error.code, Errc::Mismatch);
    EXPECT_NE(error.message.find("1x48"), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("1x512"), std::string::npos) << error.message;
}

TEST_F(OpencvEngine, AnOutputThatIsNotThereFailsAtLoad) {
    ResolvedModel model = tiny_model(directory_, "onnx");
    model.descriptor.outputs = {"fc5"};
    const Error error = load_error(model);
    EXPECT_EQ(error.code, Errc::Mismatch);
    EXPECT_NE(error.message.find("fc5"), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("means"), std::string::npos) << error.message;
}

TEST_F(OpencvEngine, ABatchThatTheFileBakesUnsaidIsAnErrorNotWrongNumbers) {
    const ResolvedModel model = tiny_model(directory_, "caffe");
    directory_.write("tiny.prototxt", testing_support::tiny_prototxt(true));
    auto engine = make_engine(model, opencv());
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    std::vector<Tensor> out;
    EXPECT_TRUE((*engine)->run(pictures(1), out).ok());
    const auto two = (*engine)->run(pictures(2), out);
    ASSERT_FALSE(two.ok());
    EXPECT_EQ(two.error().code, Errc::Mismatch);
    EXPECT_NE(two.error().message.find("batch"), std::string::npos) << two.error().message;
}

TEST(Engines, ThoseThatAreNotBuiltInSayWhatToTake) {
    const TemporaryDirectory directory;
    const ResolvedModel model = tiny_model(directory, "onnx");
    int absent = 0;
    for (const EngineInfo &info : engine_backends()) {
        if (info.built)
            continue;
        ++absent;
        EngineOptions options;
        options.engine = info.name;
        const auto engine = make_engine(model, options);
        ASSERT_FALSE(engine.ok()) << info.name;
        EXPECT_EQ(engine.error().code, Errc::Unsupported);
    }
    EXPECT_GT(absent, 0);
    EXPECT_TRUE(built("fake"));
}

TEST(Engines, AnUnknownNameListsTheNames) {
    const TemporaryDirectory directory;
    EngineOptions options;
    options.engine = "abacus";
    const auto engine = make_engine(tiny_model(directory, "onnx"), options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Errc::InvalidArgument);
    for (const EngineInfo &info : engine_backends())
        EXPECT_NE(engine.error().message.find(info.name), std::string::npos) << info.name;
}

TEST(Engines, AFakeModelTakesTheFakeEngineOnly) {
    const TemporaryDirectory directory;
    const ResolvedModel model = tiny_model(directory, "fake");
    const auto by_itself = make_engine(model, {});
    ASSERT_TRUE(by_itself.ok());
    EXPECT_STREQ((*by_itself)->name(), "fake");
    EngineOptions options;
    options.engine = "opencv";
    const auto engine = make_engine(model, options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Errc::Unsupported);
}

class AutoEngine : public OpencvEngine {
  protected:
    void SetUp() override {
        OpencvEngine::SetUp();
        set_log_sink([this](LogLevel, std::string_view line) { said_.emplace_back(line); });
    }
    void TearDown() override { set_log_sink({}); }
    int lines_with(const std::string &text) const {
        return static_cast<int>(
            std::count_if(said_.begin(), said_.end(), [&](const std::string &line) {
                return line.find(text) != std::string::npos;
            }));
    }
    std::vector<std::string> said_;
};

TEST_F(AutoEngine, TakesTheFastestThatKnowsTheNetwork) {
    ResolvedModel model = tiny_model(directory_, "onnx");
    model.descriptor.name = "auto-known";
    for (int i = 0; i < 2; ++i) {
        const auto engine = make_engine(model, {});
        ASSERT_TRUE(engine.ok()) << engine.error().message;
        EXPECT_STREQ((*engine)->name(), built("onednn") ? "onednn" : "opencv");
    }
    EXPECT_EQ(lines_with("engine=auto takes onednn"), built("onednn") ? 1 : 0);
}

TEST_F(AutoEngine, TakesOpencvForAnOperatorThatIsNotKnownAndSaysSoOnce) {
    ResolvedModel model = tiny_model(directory_, "caffe");
    model.descriptor.name = "auto-unknown";
    // OpenCV knows AbsVal.
    directory_.write("tiny.prototxt",
                     testing_support::tiny_prototxt() +
                         "layer { name: \"size\" type: \"AbsVal\" bottom: \"means\" top: "
                         "\"size\" }\n");
    model.descriptor.outputs = {"size"};
    for (int i = 0; i < 2; ++i) {
        const auto engine = make_engine(model, {});
        ASSERT_TRUE(engine.ok()) << engine.error().message;
        EXPECT_STREQ((*engine)->name(), "opencv");
    }
    EXPECT_EQ(lines_with("AbsVal"), built("onednn") ? 1 : 0);
    EngineOptions bf16;
    bf16.precision = Precision::Bf16; // which OpenCV lacks: the other's reason is what counts
    const auto none = make_engine(model, bf16);
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().code, Errc::Unsupported);
}

} // namespace
} // namespace sphere
