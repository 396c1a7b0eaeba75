// SPDX-License-Identifier: MIT
// The walk over a tensor's rows, and the kernel that every CPU has.
#include "core/engine/onednn/rows.h"

#include "core/base/cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sphere::onednn {
namespace {

constexpr float kBeyond = 512; ///< any code; not a number becomes this
} // namespace

void fill_border(const RowPass &pass, std::uint8_t *picture) {
    const auto row = static_cast<std::size_t>(pass.code_row());
    const auto left = static_cast<std::size_t>(pass.left * pass.channels);
    const auto right = static_cast<std::size_t>(pass.right * pass.channels);
    std::memset(picture, pass.zero, static_cast<std::size_t>(pass.top) * row);
    std::memset(picture + static_cast<std::size_t>(pass.top + pass.rows) * row, pass.zero,
                static_cast<std::size_t>(pass.bottom) * row);
    for (std::int64_t y = 0; y < pass.rows; ++y) {
        std::uint8_t *to = picture + static_cast<std::size_t>(pass.top + y) * row;
        std::memset(to, pass.zero, left);
        std::memset(to + row - right, pass.zero, right);
    }
}

void row_portable(const RowPass &pass, const float *x, const float *slopes, const float *addend,
                  float *out, std::uint8_t *codes) {
    for (std::int64_t p = 0; p < pass.pixels; ++p)
        for (std::int64_t c = 0; c < pass.channels; ++c) {
            const std::int64_t i = p * pass.channels + c;
            float y = x[i];
            if (slopes != nullptr && y < 0)
                y *= slopes[c];
            if (addend != nullptr)
                y += addend[i];
            if (out != nullptr)
                out[i] = y;
            if (codes == nullptr)
                continue;
            const float scaled = y * pass.inverse_scale; // rounded to even, as vectors are
            const float code = std::nearbyintf(scaled < kBeyond ? scaled : kBeyond) +
                               static_cast<float>(pass.zero);
            codes[i] = static_cast<std::uint8_t>(std::clamp(code, 0.0F, 255.0F));
        }
}

void run_rows_with(RowKernel kernel, const RowPass &pass) {
    const std::int64_t row = pass.pixels * pass.channels;
    for (std::int64_t n = 0; n < pass.pictures; ++n) {
        const float *slopes = pass.slopes == nullptr
                                  ? nullptr
                                  : pass.slopes + n % pass.slope_groups * pass.channels;
        std::uint8_t *picture =
            pass.codes == nullptr ? nullptr : pass.codes + n * pass.code_picture();
        if (picture != nullptr && pass.top + pass.left + pass.bottom + pass.right > 0)
            fill_border(pass, picture);
        for (std::int64_t y = 0; y < pass.rows; ++y) {
            const std::int64_t at = (n * pass.rows + y) * row;
            kernel(pass, pass.x + at, slopes,
                   pass.addend == nullptr ? nullptr : pass.addend + at,
                   pass.out == nullptr ? nullptr : pass.out + at,
                   picture == nullptr ? nullptr
                                      : picture + (pass.top + y) * pass.code_row() +
                                            pass.left * pass.channels);
        }
    }
}

RowKernel best_row() {
    static const RowKernel best = [] {
        const CpuLevel level = cpu_level();
        const RowKernel widest = level == CpuLevel::Avx512 ? row_avx512() : nullptr;
        if (widest != nullptr)
            return widest;
        const RowKernel wide = level == CpuLevel::Scalar ? nullptr : row_avx2();
        return wide != nullptr ? wide : &row_portable;
    }();
    return best;
}

void run_rows(const RowPass &pass) {
    run_rows_with(best_row(), pass);
}

} // namespace sphere::onednn
