// SPDX-License-Identifier: MIT
// Every version of the pixel kernels that the machine runs gives the bits of the scalar one, at
// any length and alignment, and writes nothing beyond.
#include "core/image/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
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
        const int n = length();
        const auto count = static_cast<std::size_t>(n);
        std::uniform_real_distribution<double> slope(0, 1.5), start(0, 20);
        const double x = start(random_), y = start(random_), dx = slope(random_),
                     dy = slope(random_);
        const int columns = 24 + static_cast<int>(1.5 * n), rows = columns;
        std::vector<std::int32_t> offsets(4 * count);
        std::vector<float> weights(4 * count);
        compare<std::int32_t>(4 * count, [&](const Kernels &k, std::int32_t *out) {
            k.locate_patch_taps(x, y, dx, dy, 4 * columns, n, out, weights.data());
            std::copy_n(out, 4 * count, offsets.begin());
        });
        compare<float>(4 * count, [&](const Kernels &k, float *out) {
            std::vector<std::int32_t> unused(4 * count);
            k.locate_patch_taps(x, y, dx, dy, 4 * columns, n, unused.data(), out);
        });
        const auto patch =
            values<float>(4 * static_cast<std::size_t>(columns) * (rows + 1), 0, 255);
        compare<std::uint8_t>(3 * count, [&](const Kernels &k, std::uint8_t *out) {
            k.blend_patch_row(patch.data(), offsets.data(), weights.data(), n, out);
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
