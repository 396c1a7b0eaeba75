// SPDX-License-Identifier: MIT
// Resize, conversion and packing against the double-precision reference.
#include "core/image/resize.h"

#include "tests/core/pixel_reference.h"
#include "tests/support/sanitizers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>
#include <thread>

namespace {
thread_local long g_allocations = 0;
}

// Counted so that a test can say that a frame costs none. Inlined, GCC would take malloc and
// delete, or new and free, for a mismatched pair. ThreadSanitizer brings its own.
#if !SPHERE_TSAN
[[gnu::noinline]] void *operator new(std::size_t size) {
    ++g_allocations;
    if (void *memory = std::malloc(size ? size : 1))
        return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept {
    std::free(memory);
}
#endif

namespace sphere {
namespace {

using reference::Frame;
using reference::kTolerance;
using reference::random_frame;
using reference::Rng;
using reference::uniform;
using reference::worst_difference;

RectI random_roi(Rng &rng, int width, int height) {
    RectI roi;
    roi.x = uniform(rng, 0, width - 1);
    roi.y = uniform(rng, 0, height - 1);
    roi.w = uniform(rng, 1, width - roi.x);
    roi.h = uniform(rng, 1, height - roi.y);
    return roi;
}

std::string describe(const ImageView &v, const RectI &roi, int width, int height) {
    return std::string(format_name(v.format)) + " " + std::to_string(v.width) + "x" +
           std::to_string(v.height) + " roi " + std::to_string(roi.x) + "," +
           std::to_string(roi.y) + " " + std::to_string(roi.w) + "x" + std::to_string(roi.h) +
           " to " + std::to_string(width) + "x" + std::to_string(height) +
           (v.color.full_range ? " full" : " video") + (v.color.site.h_cosited ? " h" : "") +
           (v.color.site.v_cosited ? " v" : "");
}

void expect_resized(const Frame &frame, const RectI &roi, int width, int height) {
    SCOPED_TRACE(describe(frame.view, roi, width, height));
    const Result<Image> image = resize_to_bgr(frame.view, roi, width, height);
    ASSERT_TRUE(image.ok()) << image.error().message;
    ASSERT_EQ(image->width, width);
    ASSERT_EQ(image->height, height);
    EXPECT_LE(worst_difference(*image, reference::resize(frame.view, roi, width, height)),
              kTolerance);
}

class ResizeFormats : public testing::TestWithParam<PixelFormat> {};

TEST_P(ResizeFormats, RandomFramesRegionsAndSizes) {
    Rng rng(7);
    for (int i = 0; i < 250 && !HasFailure(); ++i) {
        const int width = uniform(rng, 1, 70), height = uniform(rng, 1, 50);
        const Frame frame = random_frame(rng, GetParam(), width, height);
        const bool whole = uniform(rng, 0, 3) == 0;
        const RectI roi = whole ? RectI{0, 0, width, height} : random_roi(rng, width, height);
        expect_resized(frame, roi, uniform(rng, 1, 90), uniform(rng, 1, 60));
    }
}

TEST_P(ResizeFormats, ExtremeShapes) {
    Rng rng(8);
    constexpr int kSizes[][2] = {{1, 1}, {1, 2}, {2, 1}, {2, 2}, {3, 4000}, {4000, 3}, {1, 99}};
    for (const auto &[width, height] : kSizes) {
        const Frame frame = random_frame(rng, GetParam(), width, height);
        expect_resized(frame, {0, 0, width, height}, 64, 36);
        expect_resized(frame, {0, 0, width, height}, 1, 1);
        expect_resized(frame, {width - 1, height - 1, 1, 1}, 5, 5);
    }
}

TEST_P(ResizeFormats, WholeRatiosThatSkipTaps) {
    Rng rng(9);
    const Frame frame = random_frame(rng, GetParam(), 96, 54);
    for (const int divisor : {1, 2, 3, 6})
        expect_resized(frame, {0, 0, 96, 54}, 96 / divisor, 54 / divisor);
    expect_resized(frame, {1, 1, 93, 51}, 31, 17);
    const Frame wide = random_frame(rng, GetParam(), 511, 12);
    for (const int divisor : {2, 3, 4, 5})
        for (const int x : {0, 1, 6, 511 - 100 * divisor})
            expect_resized(wide, {x, 0, 100 * divisor, 12}, 100, 4);
    expect_resized(wide, {1, 0, 510, 12}, 255, 6);
}

TEST_P(ResizeFormats, ToBgrConvertsEachPixel) {
    Rng rng(10);
    for (const auto &[width, height] : {std::array{37, 23}, {64, 48}, {1, 1}}) {
        const Frame frame = random_frame(rng, GetParam(), width, height);
        const Result<Image> image = to_bgr(frame.view);
        ASSERT_TRUE(image.ok());
        EXPECT_LE(worst_difference(*image, reference::convert(frame.view)), kTolerance);
    }
}

// The tensor holds the rounded picture, normalised, in the order asked for; nothing else is
// written.
TEST_P(ResizeFormats, TensorIsTheNormalisedPicture) {
    Rng rng(11);
    const Frame frame = random_frame(rng, GetParam(), 45, 31);
    const RectI roi{3, 5, 41, 23};
    constexpr int kWidth = 20, kHeight = 12;
    constexpr std::ptrdiff_t kRow = 27, kPlane = 400;
    constexpr float kUntouched = -12345;
    const Result<Image> image = resize_to_bgr(frame.view, roi, kWidth, kHeight);
    ASSERT_TRUE(image.ok());
    for (const ChannelOrder order : {ChannelOrder::BGR, ChannelOrder::RGB}) {
        std::vector<float> tensor(3 * kPlane, kUntouched);
        const Normalization norm{order, {127.5F, 100, 5}, {1 / 128.0F, 2, 0.5F}};
        ASSERT_TRUE(resize_to_tensor(frame.view, roi, kWidth, kHeight, norm,
                                     {tensor.data(), kPlane, kRow})
                        .ok());
        std::vector<float> expected(3 * kPlane, kUntouched);
        for (std::ptrdiff_t c = 0; c < 3; ++c)
            for (std::ptrdiff_t y = 0; y < kHeight; ++y)
                for (std::ptrdiff_t x = 0; x < kWidth; ++x) {
                    const auto ch = static_cast<std::size_t>(c);
                    const std::ptrdiff_t from = order == ChannelOrder::BGR ? c : 2 - c;
                    const auto at = static_cast<std::size_t>((y * kWidth + x) * 3 + from);
                    expected[static_cast<std::size_t>(c * kPlane + y * kRow + x)] =
                        (static_cast<float>(image->bgr[at]) - norm.mean[ch]) * norm.scale[ch];
                }
        EXPECT_EQ(tensor, expected);

        std::vector<float> packed(3 * kPlane, kUntouched);
        normalize_to_tensor(*image, norm, {packed.data(), kPlane, kRow});
        EXPECT_EQ(packed, expected);
    }
}

TEST_P(ResizeFormats, GrayTensorIsLuma) {
    Rng rng(12);
    const Frame frame = random_frame(rng, GetParam(), 33, 21);
    const RectI roi{0, 0, 33, 21};
    constexpr int kWidth = 16, kHeight = 10;
    std::vector<float> tensor(kWidth * kHeight);
    const Normalization norm{ChannelOrder::Gray, {10, 0, 0}, {2, 0, 0}};
    ASSERT_TRUE(
        resize_to_tensor(frame.view, roi, kWidth, kHeight, norm, {tensor.data(), 0, kWidth})
            .ok());
    const auto expected = reference::resize(frame.view, roi, kWidth, kHeight);
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double level = tensor[i] / 2 + 10;
        EXPECT_EQ(level, std::round(level));
        const auto &[b, g, r] = expected[i];
        EXPECT_NEAR(level, 0.114 * b + 0.587 * g + 0.299 * r, kTolerance);
    }
    const Image crop = *to_bgr(frame.view);
    std::vector<float> packed(33 * 21);
    normalize_to_tensor(crop, norm, {packed.data(), 0, 33});
    for (std::size_t i = 0; i < packed.size(); ++i) {
        const double b = crop.bgr[3 * i], g = crop.bgr[3 * i + 1], r = crop.bgr[3 * i + 2];
        EXPECT_NEAR(packed[i] / 2 + 10, 0.114 * b + 0.587 * g + 0.299 * r, kTolerance);
    }
}

TEST_P(ResizeFormats, AllocatesNothingAfterTheFirstFrame) {
#if SPHERE_TSAN
    GTEST_SKIP() << "allocations are ThreadSanitizer's here";
#endif
    Rng rng(13);
    const Frame frame = random_frame(rng, GetParam(), 320, 180);
    std::vector<float> tensor(3 * 64 * 36);
    const auto resize = [&] {
        return resize_to_tensor(frame.view, {0, 0, 320, 180}, 64, 36, {},
                                {tensor.data(), 64 * 36, 64});
    };
    ASSERT_TRUE(resize().ok());
    const long before = g_allocations;
    ASSERT_TRUE(resize().ok());
    EXPECT_EQ(g_allocations, before);
}

INSTANTIATE_TEST_SUITE_P(All, ResizeFormats, testing::ValuesIn(kAllFormats),
                         [](const auto &info) { return format_name(info.param); });

TEST(Resize, BgrIsKeptAsItIs) {
    Rng rng(1);
    const Frame frame = random_frame(rng, PixelFormat::BGR, 31, 17);
    const Result<Image> image = to_bgr(frame.view);
    ASSERT_TRUE(image.ok());
    for (int y = 0; y < 17; ++y)
        EXPECT_TRUE(
            std::equal(image->bgr.begin() + 93 * y, image->bgr.begin() + 93 * (y + 1),
                       frame.view.planes[0].data + y * frame.view.planes[0].stride_bytes));
}

TEST(Resize, BottomUpRowsHaveANegativeStride) {
    Image upright(4, 3);
    for (std::size_t i = 0; i < upright.bgr.size(); ++i)
        upright.bgr[i] = static_cast<std::uint8_t>(7 * i);
    ImageView flipped = upright.view();
    flipped.planes[0] = {upright.bgr.data() + 24, -12};
    const Result<Image> image = to_bgr(flipped);
    ASSERT_TRUE(image.ok());
    for (int y = 0; y < 3; ++y)
        EXPECT_TRUE(std::equal(image->bgr.begin() + 12 * y, image->bgr.begin() + 12 * (y + 1),
                               upright.bgr.begin() + 12 * (2 - y)));
}

TEST(Resize, ThreadsDoNotDisturbOneAnother) {
    Rng rng(2);
    const Frame frame = random_frame(rng, PixelFormat::NV12, 160, 90);
    const Image small = *resize_to_bgr(frame.view, {0, 0, 160, 90}, 61, 33);
    const Image large = *resize_to_bgr(frame.view, {1, 1, 99, 77}, 200, 150);
    std::atomic<int> wrong = 0;
    const auto work = [&] {
        for (int i = 0; i < 30; ++i) {
            wrong += resize_to_bgr(frame.view, {0, 0, 160, 90}, 61, 33)->bgr != small.bgr;
            wrong += resize_to_bgr(frame.view, {1, 1, 99, 77}, 200, 150)->bgr != large.bgr;
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back(work);
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(Resize, RefusesWhatItCannotDo) {
    const Image image(8, 6);
    const ImageView view = image.view();
    const auto code = [](const auto &result) {
        return result.ok() ? "ok" : errc_name(result.error().code);
    };
    constexpr int kMax = std::numeric_limits<int>::max();
    for (const RectI roi : {RectI{0, 0, 0, 6},
                            {0, 0, 8, 0},
                            {-1, 0, 4, 4},
                            {0, -1, 4, 4},
                            {5, 0, 4, 4},
                            {0, 3, 4, 4},
                            {1, 0, kMax, 1},
                            {kMax, 0, 1, 1}})
        EXPECT_STREQ(code(resize_to_bgr(view, roi, 4, 4)), "invalid argument");
    for (const auto &[w, h] : {std::array{0, 4}, {4, 0}, {-1, 4}, {kMax, 4}, {4, kMax}})
        EXPECT_STREQ(code(resize_to_bgr(view, {0, 0, 8, 6}, w, h)), "invalid argument");
    EXPECT_STREQ(code(to_bgr(ImageView{})), "invalid argument");

    ImageView no_chroma = view;
    no_chroma.format = PixelFormat::I420;
    EXPECT_STREQ(code(to_bgr(no_chroma)), "invalid argument");
    ImageView no_data = view;
    no_data.planes[0].data = nullptr;
    EXPECT_STREQ(code(to_bgr(no_data)), "invalid argument");
    ImageView odd_matrix = view;
    odd_matrix.format = PixelFormat::GRAY8;
    odd_matrix.color.kr = std::numeric_limits<double>::quiet_NaN();
    EXPECT_STREQ(code(to_bgr(odd_matrix)), "invalid argument");
    EXPECT_STREQ(code(resize_to_tensor(view, {0, 0, 8, 6}, 4, 4, {}, {})), "invalid argument");
}

} // namespace
} // namespace sphere
