// SPDX-License-Identifier: MIT
// Every version of the pixel kernels that the machine runs gives the bits of the scalar one, at
// any length and alignment, and writes nothing beyond.
#include "core/image/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

namespace sphere::kernels {
namespace {

std::vector<const Kernels *> versions_of_this_machine() {
    std::vector<const Kernels *> found;
    for (const Kernels *kernels : {kernels_avx2(), kernels_avx512()})
        if (kernels != nullptr && cpu_level_runs_on(kernels->level, detected_cpu_level()))
            found.push_back(kernels);
    if (found.empty())
        found.push_back(kernels_scalar()); // compared with itself: the suite still runs
    return found;
}

/// Values at a random distance from any boundary; results with a guard behind them.
class PixelKernels : public testing::TestWithParam<const Kernels *> {
  protected:
    static constexpr int kRounds = 300;
    static constexpr std::size_t kGuard = 64;

    template <typename T> std::vector<T> values(std::size_t count, double low, double high) {
        std::vector<T> made(count + 16);
        std::uniform_real_distribution<double> between(low, high);
        for (T &value : made)
            value = static_cast<T>(between(random_));
        return made;
    }
    int length() { return static_cast<int>(1 + random_() % (random_() % 4 == 0 ? 700 : 40)); }
    std::size_t shift() { return random_() % 16; }

    /// Runs both versions into equal room, at `at` elements from its start.
    template <typename T, typename Call> void compare(std::size_t count, const Call &call) {
        const std::size_t at = shift();
        std::vector<T> wanted(at + count + kGuard, T(7)), got(wanted);
        call(*kernels_scalar(), wanted.data() + at);
        call(*GetParam(), got.data() + at);
        ASSERT_EQ(std::memcmp(wanted.data(), got.data(), wanted.size() * sizeof(T)), 0)
            << "length " << count;
        for (std::size_t i = at + count; i < got.size(); ++i)
            ASSERT_EQ(got[i], T(7)) << "written beyond the end";
    }

    std::mt19937 random_{20261124};
};

TEST_P(PixelKernels, ConversionFromYuv) {
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        const int n = length();
        const auto count = static_cast<std::size_t>(n);
        const std::size_t from = shift();
        const auto y = values<std::uint8_t>(count, 0, 256);
        const auto u = values<std::uint16_t>(count, 0, 255 * 16 + 1);
        const auto v = values<std::uint16_t>(count, 0, 255 * 16 + 1);
        const YuvMatrix m{16, 1.164F, 0.1261F, -0.0245F, -0.0508F, 0.0998F};
        compare<float>(3 * count, [&](const Kernels &k, float *out) {
            k.yuv_to_bgr(m, y.data() + from, u.data() + from, v.data() + from, n,
                         {out, out + n, out + 2 * count});
        });
        compare<float>(count, [&](const Kernels &k, float *out) {
            k.luma_to_gray(m, y.data() + from, n, out);
        });
        compare<float>(count, [&](const Kernels &k, float *out) {
            k.bytes_to_float(y.data() + from, n, out);
        });
    }
}

TEST_P(PixelKernels, Chroma) {
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        const int n = length();
        const auto count = static_cast<std::size_t>(n);
        const std::size_t from = shift();
        const auto near = values<std::uint8_t>(4 * count, 0, 256);
        const auto other = values<std::uint8_t>(4 * count, 0, 256);
        const auto a = values<std::uint16_t>(count, 0, 255 * 4 + 1);
        const auto b = values<std::uint16_t>(count, 0, 255 * 4 + 1);
        const int weight = static_cast<int>(random_() % 5);
        for (const auto rows : {&Kernels::blend_chroma_rows_1, &Kernels::blend_chroma_rows_2,
                                &Kernels::blend_chroma_rows_4})
            compare<std::uint16_t>(count, [&](const Kernels &k, std::uint16_t *out) {
                (k.*rows)(near.data() + from, other.data() + from, weight, 4 - weight, n, out);
            });
        compare<std::uint16_t>(count, [&](const Kernels &k, std::uint16_t *out) {
            k.blend_chroma_columns(a.data() + from, b.data() + from, weight, 4 - weight, n,
                                   out);
        });
    }
}

TEST_P(PixelKernels, Blending) {
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        const int n = length();
        const auto count = static_cast<std::size_t>(n);
        const std::size_t from = shift();
        const auto pixels = values<float>(4 * count, 0, 255);
        const auto more = values<float>(4 * count, 0, 255);
        const auto weights = values<float>(4 * count, 0, 1);
        compare<float>(count, [&](const Kernels &k, float *out) {
            k.blend_columns(pixels.data() + from, more.data() + from, weights.data() + from, n,
                            out);
        });
        compare<float>(count, [&](const Kernels &k, float *out) {
            k.blend_rows(pixels.data() + from, more.data() + from, weights[0], n, out);
        });
        compare<float>(count, [&](const Kernels &k, float *out) {
            k.blend_four(pixels.data() + from, weights.data() + from, n, out);
        });
    }
}

TEST_P(PixelKernels, Packing) {
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        const int n = length();
        const auto count = static_cast<std::size_t>(n);
        const std::size_t from = shift();
        auto pixels = values<float>(3 * count, 0, 255);
        pixels[from] = 254.99998F; // rounds up to 255, not to 256
        auto bytes = values<std::uint8_t>(3 * count, 0, 256);
        float *p = pixels.data() + from;
        const BgrArrays in{p, p + n, p + 2 * count};
        compare<float>(count, [&](const Kernels &k, float *out) { k.bgr_to_gray(in, n, out); });
        compare<float>(count, [&](const Kernels &k, float *out) {
            k.round_and_normalize(p, n, 127.5F, 0.0078125F, out);
        });
        compare<float>(count, [&](const Kernels &k, float *out) {
            k.normalize_channel(bytes.data() + from, n, 127.5F, 1 / 128.0F, out);
        });
        compare<float>(4 * count,
                       [&](const Kernels &k, float *out) { k.interleave_four(in, n, out); });
        const auto packed = values<std::uint8_t>(4 * count, 0, 256);
        for (const auto unpack : {&Kernels::unpack_3, &Kernels::unpack_4})
            compare<float>(3 * count, [&](const Kernels &k, float *out) {
                (k.*unpack)(packed.data() + from, n, {out, out + n, out + 2 * count});
            });
        for (const auto pick :
             {&Kernels::pick_bytes_2, &Kernels::pick_bytes_3, &Kernels::pick_bytes_4})
            compare<std::uint8_t>(count, [&](const Kernels &k, std::uint8_t *out) {
                (k.*pick)(packed.data() + from, n, out);
            });
        const auto words = values<std::uint16_t>(4 * count, 0, 4081);
        for (const auto pick :
             {&Kernels::pick_words_2, &Kernels::pick_words_3, &Kernels::pick_words_4})
            compare<std::uint16_t>(count, [&](const Kernels &k, std::uint16_t *out) {
                (k.*pick)(words.data() + from, n, out);
            });
        const auto even = values<std::uint16_t>(count, 0, 4081);
        compare<std::uint16_t>(2 * count, [&](const Kernels &k, std::uint16_t *out) {
            k.interleave_phases(even.data(), even.data() + from / 2, n, out);
        });
        compare<std::uint8_t>(3 * count, [&](const Kernels &k, std::uint8_t *out) {
            k.round_to_bytes(in, n, out);
        });
    }
}

TEST_P(PixelKernels, Warping) {
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        const int n = std::min(length(), 150);
        const auto count = static_cast<std::size_t>(n);
        // Along the row to the right or to the left, down or up, within the patch.
        std::uniform_real_distribution<double> slope(-1.5, 1.5), start(0, 20);
        const double dx = slope(random_), dy = slope(random_);
        const double x = start(random_) - std::min(0.0, dx * n),
                     y = start(random_) - std::min(0.0, dy * n);
        const int columns = 24 + static_cast<int>(1.5 * n), rows = columns;
        const std::size_t pixels = static_cast<std::size_t>(columns) * rows;
        const auto patch = values<float>(4 * pixels, 0, 255);
        compare<std::uint8_t>(3 * count, [&](const Kernels &k, std::uint8_t *out) {
            k.warp_patch_row(x, y, dx, dy, patch.data(), 4 * columns, n, out);
        });
        std::vector<std::int32_t> offsets(4 * count);
        for (std::int32_t &offset : offsets)
            offset = 4 * static_cast<std::int32_t>(random_() % pixels);
        const auto weights = values<float>(4 * count, 0, 0.25);
        compare<std::uint8_t>(3 * count, [&](const Kernels &k, std::uint8_t *out) {
            k.blend_patch_row(patch.data(), offsets.data(), weights.data(), n, out);
        });
    }
}

// Next to plain sums as well: the scalar version goes about it in blocks.
TEST_P(PixelKernels, Measuring) {
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        const int n = length();
        const auto count = static_cast<std::size_t>(n);
        // All at their greatest now and then: sums must hold them.
        const double least = round % 8 == 0 ? 255 : 0;
        const auto bytes = values<std::uint8_t>(3 * count + 16, least, 256);
        const std::uint8_t *bgr = bytes.data() + shift();
        compare<std::int32_t>(count, [&](const Kernels &k, std::int32_t *out) {
            const std::int64_t sum = k.bytes_to_luma(bgr, n, out);
            ASSERT_EQ(sum, std::accumulate(out, out + n, std::int64_t{0}));
            for (std::size_t i = 0; i < count; ++i)
                ASSERT_EQ(out[i],
                          114 * bgr[3 * i] + 587 * bgr[3 * i + 1] + 299 * bgr[3 * i + 2]);
        });
        std::int64_t moments[9] = {3, 3, 3, 3, 3, 3, 3, 3, 3};
        for (std::size_t i = 0; i < count; ++i) {
            const std::int64_t b = bgr[3 * i], g = bgr[3 * i + 1], r = bgr[3 * i + 2];
            const std::int64_t each[9] = {b, g, r, b * b, g * g, r * r, b * g, b * r, g * r};
            std::transform(each, each + 9, moments, moments, std::plus<>());
        }
        compare<std::int64_t>(9, [&](const Kernels &k, std::int64_t *out) {
            std::fill_n(out, 9, 3);
            k.sum_moments(bgr, n, out);
            ASSERT_TRUE(std::equal(out, out + 9, moments));
        });
        const auto luma = values<std::int32_t>(3 * (count + 2), 0, 255001);
        const std::int32_t *above = luma.data() + shift() % 8 + 1, *row = above + count + 2,
                           *below = row + count + 2;
        std::int64_t total = 5, squares = 5;
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            const std::int64_t value =
                row[i - 1] + row[i + 1] + above[i] + below[i] - 4 * row[i];
            total += value;
            squares += value * value;
        }
        compare<std::int64_t>(2, [&](const Kernels &k, std::int64_t *out) {
            out[0] = out[1] = 5;
            k.sum_laplacians(above, row, below, n, out);
            ASSERT_EQ(out[0], total);
            ASSERT_EQ(out[1], squares);
        });
    }
}

TEST(PixelKernelsInUse, AreOfTheLevelThatIsAskedFor) {
    EXPECT_TRUE(cpu_level_runs_on(kernels_in_use().level, cpu_level()));
    const Kernels *wanted = kernels_scalar();
    for (const Kernels *kernels : {kernels_avx2(), kernels_avx512()})
        if (kernels != nullptr && cpu_level_runs_on(kernels->level, cpu_level()))
            wanted = kernels;
    EXPECT_EQ(&kernels_in_use(), wanted);
}

INSTANTIATE_TEST_SUITE_P(All, PixelKernels, testing::ValuesIn(versions_of_this_machine()),
                         [](const auto &info) {
                             return std::string(cpu_level_name(info.param->level));
                         });

} // namespace
} // namespace sphere::kernels
