// SPDX-License-Identifier: MIT
// Crops to embeddings: order, mirror images, batches, stamps, numbers that are not finite.
#include "core/face/embedder.h"

#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

namespace sphere {
namespace {

constexpr std::size_t kDims = 32;

Image crop_of(int seed, int width = 96, int height = 112) {
    Image image(width, height);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c)
                image.bgr[static_cast<std::size_t>(3 * (y * width + x) + c)] =
                    static_cast<std::uint8_t>(127 + 100 * std::sin(0.05 * x * (seed + 1) +
                                                                   0.03 * y * (c + 1) + seed));
    return image;
}

Image mirrored(const Image &image) {
    Image out(image.width, image.height);
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x)
            std::copy_n(image.bgr.data() + 3 * (y * image.width + x), 3,
                        out.bgr.data() + 3 * (y * image.width + image.width - 1 - x));
    return out;
}

/// Fake embedders of this test's own descriptors.
class EmbedderTest : public ::testing::Test {
  protected:
    void write(const std::string &name, const std::string &scale = "0.0078125",
               const std::string &more = "") {
        directory_.write(name + ".json",
                         R"({"schema": "sphere.model/1", "name": ")" + name + R"(",
            "task": "embed", "title": "of a test", "framework": "fake", "decoder": "embedding",
            "licence": "MIT", "files": [],
            "input": {"width": 96, "height": 112, "order": "BGR", "mean": 127.5, "scale": )" +
                             scale + R"(},
            "outputs": ["embedding"], "template": "sphereface-112x96", "dims": 32, "flip": "none",
            "metric": "cosine", )" +
                             more +
                             R"("metrics": {"cosine": {"threshold": 0.4, "source": "test"}}})");
    }
    std::shared_ptr<Embedder> make(const std::string &name, std::optional<FlipMode> flip = {}) {
        auto embedder = Embedder::make(ModelStore({directory_.path()}), name, flip, {});
        EXPECT_TRUE(embedder.ok()) << (embedder.ok() ? "" : embedder.error().message);
        return embedder.ok() ? *embedder : nullptr;
    }
    static std::vector<float> one(Embedder &embedder, const Image &crop) {
        const Image *list[] = {&crop};
        auto embeddings = embedder.embed(list);
        EXPECT_TRUE(embeddings.ok()) << (embeddings.ok() ? "" : embeddings.error().message);
        return embeddings.ok() && embeddings->size() == 1 ? (*embeddings)[0].values
                                                          : std::vector<float>();
    }
    testing_support::TemporaryDirectory directory_;
};

TEST_F(EmbedderTest, APhotographIsTheMeanWithItsMirrorImage) {
    write("a");
    const auto plain = make("a");
    const auto sum = make("a", FlipMode::Sum);
    ASSERT_TRUE(plain && sum);
    std::vector<Image> crops;
    for (int seed = 0; seed < 5; ++seed)
        crops.push_back(crop_of(seed));
    std::vector<const Image *> list;
    for (const Image &crop : crops)
        list.push_back(&crop);
    const auto means = plain->embed_mirrored(list), sums = sum->embed_mirrored(list);
    ASSERT_TRUE(means.ok() && sums.ok());
    for (std::size_t n = 0; n < crops.size(); ++n) {
        EXPECT_EQ((*means)[n].stamp->flip, "none"); // it is compared with a frame's
        const std::vector<float> left = one(*plain, crops[n]);
        const std::vector<float> right = one(*plain, mirrored(crops[n]));
        ASSERT_EQ((*means)[n].values.size(), kDims);
        for (std::size_t i = 0; i < kDims; ++i) {
            EXPECT_NEAR((*means)[n].values[i], (left[i] + right[i]) / 2, 1e-5) << n << ' ' << i;
            EXPECT_NEAR((*sums)[n].values[i], left[i] + right[i], 2e-5) << n << ' ' << i;
        }
    }
}

TEST_F(EmbedderTest, StampSaysWhatMustBeEqual) {
    write("a");
    const auto plain = make("a");
    const auto concat = make("a", FlipMode::Concat);
    ASSERT_TRUE(plain && concat);
    EXPECT_EQ(plain->stamp()->model, "a");
    EXPECT_EQ(plain->stamp()->template_name, "sphereface-112x96");
    EXPECT_EQ(plain->stamp()->flip, "none");
    EXPECT_EQ(plain->stamp()->dims, 32);
    EXPECT_EQ(concat->stamp()->flip, "concat");
    EXPECT_EQ(concat->stamp()->dims, 64);
    EXPECT_FALSE(*plain->stamp() == *concat->stamp());
    // Another input arithmetic is another space.
    write("b", "0.00392156862745098");
    const auto other = make("b");
    ASSERT_TRUE(other);
    EXPECT_NE(other->stamp()->preprocessing, plain->stamp()->preprocessing);
    EXPECT_EQ(plain->align_template().width, 96);
}

TEST_F(EmbedderTest, MirrorImagesAreMirrorImages) {
    write("a");
    const auto plain = make("a"), concat = make("a", FlipMode::Concat),
               sum = make("a", FlipMode::Sum);
    ASSERT_TRUE(plain && concat && sum);
    const Image crop = crop_of(3);
    const std::vector<float> straight = one(*plain, crop),
                             flipped = one(*plain, mirrored(crop));
    ASSERT_EQ(straight.size(), kDims);
    EXPECT_NE(straight, flipped);
    const std::vector<float> both = one(*concat, crop), added = one(*sum, crop);
    ASSERT_EQ(both.size(), 2 * kDims);
    ASSERT_EQ(added.size(), kDims);
    for (std::size_t i = 0; i < kDims; ++i) {
        EXPECT_NEAR(both[i], straight[i], 1e-5);
        EXPECT_NEAR(both[kDims + i], flipped[i], 1e-5);
        EXPECT_NEAR(added[i], straight[i] + flipped[i], 1e-5);
    }
}

TEST_F(EmbedderTest, OrderAndNumbersDoNotDependOnTheBatch) {
    write("a");
    write("singly", "0.0078125", R"("batch": 1, )");
    std::vector<Image> crops;
    for (int i = 0; i < 7; ++i)
        crops.push_back(crop_of(i));
    std::vector<const Image *> list;
    for (const Image &crop : crops)
        list.push_back(&crop);
    for (const char *name : {"a", "singly"})
        for (const FlipMode flip : {FlipMode::None, FlipMode::Concat, FlipMode::Sum}) {
            const auto embedder = make(name, flip);
            ASSERT_TRUE(embedder);
            std::vector<std::vector<float>> wanted;
            for (const Image &crop : crops)
                wanted.push_back(one(*embedder, crop));
            for (const int batch : {0, 1, 2, 3, 7, 100}) {
                const auto got = embedder->embed(list, batch);
                ASSERT_TRUE(got.ok()) << got.error().message;
                ASSERT_EQ(got->size(), crops.size());
                for (std::size_t i = 0; i < crops.size(); ++i) {
                    EXPECT_EQ((*got)[i].values, wanted[i]) << name << " batch " << batch;
                    EXPECT_EQ((*got)[i].stamp, embedder->stamp());
                }
            }
        }
}

TEST_F(EmbedderTest, MoreCropsThanAnEngineTakesAtOnce) {
    write("a");
    const auto embedder = make("a", FlipMode::Concat);
    ASSERT_TRUE(embedder);
    const Image first = crop_of(0), other = crop_of(1);
    std::vector<const Image *> list(kMaxBatch + 1, &other);
    list.front() = list.back() = &first;
    const auto got = embedder->embed(list, 1024); // the most that batch-size lets through
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_EQ(got->size(), list.size());
    EXPECT_EQ(got->front().values, one(*embedder, first));
    EXPECT_EQ(got->back().values, got->front().values);
    EXPECT_EQ((*got)[kMaxBatch / 2].values, one(*embedder, other)); // around the seam
}

TEST_F(EmbedderTest, NoCropsNoEmbeddings) {
    write("a");
    const auto embedder = make("a");
    ASSERT_TRUE(embedder);
    const auto none = embedder->embed({});
    ASSERT_TRUE(none.ok());
    EXPECT_TRUE(none->empty());
}

TEST_F(EmbedderTest, ACropOfAnotherSizeIsAnError) {
    write("a");
    const auto embedder = make("a");
    ASSERT_TRUE(embedder);
    const Image right = crop_of(1), wrong = crop_of(1, 112, 112);
    const Image *list[] = {&right, &wrong};
    const auto got = embedder->embed(list);
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, Errc::InvalidArgument);
    EXPECT_NE(got.error().message.find("112x112"), std::string::npos) << got.error().message;
}

TEST_F(EmbedderTest, NumbersThatAreNotFiniteConcernTheirCropAlone) {
    const auto engines = engine_backends();
    if (std::none_of(engines.begin(), engines.end(), [](const EngineInfo &e) {
            return e.name == std::string("opencv") && e.built;
        }))
        GTEST_SKIP() << "engine opencv is not built in";
    if (testing_support::fake_engine_only())
        GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
    directory_.write("exp.onnx", testing_support::tiny_onnx(true));
    directory_.write("exp.json", R"({"schema": "sphere.model/1", "name": "exp", "task": "embed",
        "title": "e^mean of 4x4 cells", "framework": "onnx", "decoder": "embedding",
        "licence": "MIT", "files": [{"name": "exp.onnx", "role": "weights", "sources":
        [{"page": "https://example.org/"}]}],
        "input": {"width": 16, "height": 16, "order": "BGR", "mean": 0, "scale": 1},
        "outputs": ["means"], "template": "box-16x16", "dims": 48, "flip": "none",
        "metric": "cosine", "metrics": {"cosine": {"threshold": 0.4, "source": "test"}}})");
    const auto embedder = make("exp");
    ASSERT_TRUE(embedder);
    Image bright(16, 16), gray(16, 16);
    std::fill(bright.bgr.begin(), bright.bgr.end(), std::uint8_t{255});
    std::fill(gray.bgr.begin(), gray.bgr.end(), std::uint8_t{2});
    const Image *list[] = {&gray, &bright, &gray};
    const auto got = embedder->embed(list);
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_EQ((*got)[0].values.size(), 48u);
    EXPECT_NEAR((*got)[0].values[7], std::exp(2.0), 1e-3);
    EXPECT_TRUE((*got)[1].values.empty());
    EXPECT_EQ((*got)[2].values, (*got)[0].values);
}

TEST_F(EmbedderTest, ThreadsShareIt) {
    write("a");
    const auto embedder = make("a", FlipMode::Concat);
    ASSERT_TRUE(embedder);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        const Image crop = crop_of(t);
        const std::vector<float> wanted = one(*embedder, crop);
        threads.emplace_back([&wrong, embedder, crop, wanted] {
            for (int k = 0; k < 20; ++k)
                if (one(*embedder, crop) != wanted)
                    ++wrong;
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST_F(EmbedderTest, EqualModelsShareTheirEngine) {
    write("a");
    const auto one_embedder = make("a"), other = make("a", FlipMode::Concat);
    ASSERT_TRUE(one_embedder && other);
    EXPECT_EQ(&one_embedder->engine(), &other->engine());
}

TEST_F(EmbedderTest, TimingAddsUp) {
    write("a");
    const auto embedder = make("a");
    ASSERT_TRUE(embedder);
    const Image crop = crop_of(0);
    const Image *list[] = {&crop};
    EmbedTiming timing;
    timing.inference_ms = 100;
    ASSERT_TRUE(embedder->embed(list, 0, &timing).ok());
    EXPECT_GT(timing.inference_ms, 100);
    EXPECT_LT(timing.inference_ms, 5000);
}

TEST_F(EmbedderTest, ModelsThatCannotEmbedAreErrors) {
    write("a");
    EXPECT_FALSE(Embedder::make(ModelStore({directory_.path()}), "none-such", {}, {}).ok());
    // A template of another size than the input's is found when the model is loaded.
    std::string text = directory_.read("a.json");
    const std::size_t at = text.find("sphereface-112x96");
    text.replace(at, std::string("sphereface-112x96").size(), "arcface-112x112");
    directory_.write("a.json", text);
    const auto wrong = Embedder::make(ModelStore({directory_.path()}), "a", {}, {});
    ASSERT_FALSE(wrong.ok());
}

} // namespace
} // namespace sphere
