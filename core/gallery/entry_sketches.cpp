// SPDX-License-Identifier: MIT
#include "core/gallery/entry_sketches.h"

#include "core/base/bf16.h"

#include <algorithm>
#include <bit>

namespace sphere {
namespace {

constexpr std::size_t kBits = 256;
constexpr std::size_t kMeanRows = 20'000; ///< that the mean is taken of

using CountDifferences = void (*)(const std::uint64_t *sketches, std::size_t count,
                                  const std::uint64_t *query, std::uint16_t *out);

inline void count_differences(const std::uint64_t *sketches, std::size_t count,
                              const std::uint64_t *query, std::uint16_t *out) {
    for (std::size_t i = 0; i < count; ++i, sketches += 4)
        out[i] = static_cast<std::uint16_t>(
            std::popcount(sketches[0] ^ query[0]) + std::popcount(sketches[1] ^ query[1]) +
            std::popcount(sketches[2] ^ query[2]) + std::popcount(sketches[3] ^ query[3]));
}

#if defined(__x86_64__)
// The same with the instruction, which x86-64 by itself does not promise.
__attribute__((target("popcnt"))) void count_by_popcnt(const std::uint64_t *sketches,
                                                       std::size_t count,
                                                       const std::uint64_t *query,
                                                       std::uint16_t *out) {
    for (std::size_t i = 0; i < count; ++i, sketches += 4)
        out[i] = static_cast<std::uint16_t>(__builtin_popcountll(sketches[0] ^ query[0]) +
                                            __builtin_popcountll(sketches[1] ^ query[1]) +
                                            __builtin_popcountll(sketches[2] ^ query[2]) +
                                            __builtin_popcountll(sketches[3] ^ query[3]));
}
#endif

CountDifferences choose_count() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt"))
        return &count_by_popcnt;
#endif
    return &count_differences;
}

} // namespace

template <typename Value>
EntrySketches::Sketch EntrySketches::sketch(const Value &value) const {
    Sketch bits{};
    for (std::size_t bit = 0; bit < mean_.size(); ++bit) {
        float sum = 0;
        for (std::size_t d = bit * group_; d < std::min(dims_, (bit + 1) * group_); ++d)
            sum += value(d);
        if (sum > mean_[bit])
            bits[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
    return bits;
}

void EntrySketches::make(const ExactRows &rows, std::vector<std::uint32_t> entries) {
    entries_.clear();
    const std::size_t kept = std::min(entries.size(), kMostEntries);
    for (std::size_t i = 0; i < kept; ++i)
        entries_.push_back(entries[i * entries.size() / kept]);
    dims_ = rows.dims();
    group_ = (dims_ + kBits - 1) / kBits;
    std::vector<double> sums((dims_ + group_ - 1) / group_);
    const std::size_t sampled = std::min(kept, kMeanRows);
    for (std::size_t i = 0; i < sampled; ++i) {
        const std::uint16_t *row = rows.scanned_halves(entries_[i * kept / sampled]);
        for (std::size_t d = 0; d < dims_; ++d)
            sums[d / group_] += static_cast<double>(float_of_bf16(row[d]));
    }
    mean_.clear();
    for (const double sum : sums)
        mean_.push_back(
            static_cast<float>(sum / static_cast<double>(std::max<std::size_t>(sampled, 1))));
    sketches_.clear();
    for (const std::uint32_t entry : entries_) {
        const std::uint16_t *row = rows.scanned_halves(entry);
        sketches_.push_back(sketch([row](std::size_t d) { return float_of_bf16(row[d]); }));
    }
}

std::vector<std::uint32_t> EntrySketches::nearest(const float *query, std::size_t count) const {
    if (count == 0 || sketches_.empty())
        return {};
    static const CountDifferences kCount = choose_count();
    const Sketch wanted = sketch([query](std::size_t d) { return query[d]; });
    struct Near {
        std::uint16_t differences = 0;
        std::uint32_t place = 0;
    };
    std::vector<Near> best; // sorted, the farthest last
    constexpr std::size_t kBlock = 1024;
    std::array<std::uint16_t, kBlock> differences;
    for (std::size_t first = 0; first < sketches_.size(); first += kBlock) {
        const std::size_t rows = std::min(kBlock, sketches_.size() - first);
        kCount(sketches_[first].data(), rows, wanted.data(), differences.data());
        for (std::size_t i = 0; i < rows; ++i) {
            if (best.size() == count && differences[i] >= best.back().differences)
                continue;
            const Near near = {differences[i], static_cast<std::uint32_t>(first + i)};
            best.insert(std::upper_bound(best.begin(), best.end(), near,
                                         [](const Near &a, const Near &b) {
                                             return a.differences < b.differences;
                                         }),
                        near);
            if (best.size() > count)
                best.pop_back();
        }
    }
    std::vector<std::uint32_t> places;
    places.reserve(best.size());
    for (const Near &near : best)
        places.push_back(near.place);
    return places;
}

} // namespace sphere
