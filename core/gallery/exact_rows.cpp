// SPDX-License-Identifier: MIT
// Rows of an exact index: coding, decoding, products.
#include "core/gallery/exact_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace sphere {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Squares and products of values of such rows stay within float.
constexpr double kLargestNorm = 1e15;
constexpr double kSmallestNorm = 1e-15;
/// A norm that was rounded to float is not to be below the true one.
constexpr double kRoundUp = 1 + 1e-6;

std::size_t scanned_bytes(RowFormat format) {
    return format == RowFormat::Fp32 ? 4 : format == RowFormat::Bf16 ? 2 : 1;
}
std::size_t rest_bytes(RowFormat format) {
    return format == RowFormat::Int8 ? 4 : 2;
}

double squares(const float *values, std::size_t n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
        sum += static_cast<double>(values[i]) * values[i];
    return sum;
}

float upper_half(float value) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xFFFF0000U);
}

constexpr int kMostRowByte = 127;

/// The scale that bytes of `values` have: the largest becomes `most`.
float byte_scale(const float *values, std::size_t n, int most) {
    float largest = 0;
    for (std::size_t i = 0; i < n; ++i)
        largest = std::max(largest, std::fabs(values[i]));
    return largest / static_cast<float>(most);
}
std::int32_t to_byte(float value, float scale, int most) {
    return std::clamp(static_cast<std::int32_t>(std::lrint(value / scale)), -most, most);
}

} // namespace

ExactRows::ExactRows(std::size_t dims, RowFormat format)
    : dims_(dims), stride_((dims + kScanLanes - 1) / kScanLanes * kScanLanes), format_(format),
      scanned_(stride_ * scanned_bytes(format)), rest_(stride_ * rest_bytes(format)) {}

void ExactRows::append(std::span<const float> values) {
    AlignedVector<float> row(stride_, 0.0F);
    std::copy(values.begin(), values.end(), row.begin());
    const std::size_t place = size();
    for (std::vector<float> *list : {&norms_, &errors_, &scales_})
        if (list->size() == list->capacity())
            list->reserve(std::max<std::size_t>(16, list->size() * 2));
    scanned_.append();
    if (format_ != RowFormat::Fp32) {
        try {
            rest_.append();
        } catch (...) {
            scanned_.pop_back();
            throw;
        }
    }
    norms_.push_back(0);
    errors_.push_back(0);
    scales_.push_back(1);
    encode(place, row.data());
}

/// `values`: stride_ of them. The rows' blocks are this object's own by now.
void ExactRows::encode(std::size_t row, const float *values) {
    const double norm = std::sqrt(squares(values, dims_));
    std::byte *scanned = scanned_.writable_row(row);
    norms_[row] = static_cast<float>(std::min(norm * kRoundUp, 3e38));
    if (format_ == RowFormat::Fp32) {
        std::memcpy(scanned, values, stride_ * sizeof(float));
    } else if (format_ == RowFormat::Bf16) {
        auto *high = reinterpret_cast<std::uint16_t *>(scanned);
        auto *low = reinterpret_cast<std::uint16_t *>(rest_.writable_row(row));
        double dot = 0;
        double kept = 0;
        for (std::size_t i = 0; i < stride_; ++i) {
            const auto bits = std::bit_cast<std::uint32_t>(values[i]);
            high[i] = static_cast<std::uint16_t>(bits >> 16);
            low[i] = static_cast<std::uint16_t>(bits);
            const double half = upper_half(values[i]);
            dot += half * values[i];
            kept += half * half;
        }
        // What is cut off makes a row shorter: the scale gives back what that is on average.
        scales_[row] = kept > 0 ? static_cast<float>(dot / kept) : 0;
    } else {
        std::memcpy(rest_.writable_row(row), values, stride_ * sizeof(float));
        const float scale = byte_scale(values, dims_, kMostRowByte);
        scales_[row] = scale;
        for (std::size_t i = 0; i < stride_; ++i) {
            const std::int32_t byte = scale > 0 ? to_byte(values[i], scale, kMostRowByte) : 0;
            scanned[i] = static_cast<std::byte>(byte + 128);
        }
    }
    double error = 0;
    for (std::size_t i = 0; i < dims_ && format_ != RowFormat::Fp32; ++i) {
        const double seen = format_ == RowFormat::Bf16
                                ? static_cast<double>(upper_half(values[i]))
                                : static_cast<double>(std::to_integer<int>(scanned[i]) - 128);
        const double difference = values[i] - seen * scales_[row];
        error += difference * difference;
    }
    const bool bounded = norm == 0 || (norm > kSmallestNorm && norm < kLargestNorm);
    errors_[row] = bounded ? static_cast<float>(std::sqrt(error) * kRoundUp) : kInfinity;
}

void ExactRows::remove(std::size_t row) {
    const std::size_t last = size() - 1;
    if (row != last) {
        // Both, before either changes: each may need memory.
        std::byte *scanned = scanned_.writable_row(row);
        std::byte *rest = format_ != RowFormat::Fp32 ? rest_.writable_row(row) : nullptr;
        std::memcpy(scanned, scanned_.row(last), scanned_.row_bytes());
        if (rest != nullptr)
            std::memcpy(rest, rest_.row(last), rest_.row_bytes());
        norms_[row] = norms_[last];
        errors_[row] = errors_[last];
        scales_[row] = scales_[last];
    }
    scanned_.pop_back();
    if (format_ != RowFormat::Fp32)
        rest_.pop_back();
    norms_.pop_back();
    errors_.pop_back();
    scales_.pop_back();
}

const float *ExactRows::exact(std::size_t row, float *scratch) const {
    if (format_ != RowFormat::Bf16)
        return reinterpret_cast<const float *>(
            (format_ == RowFormat::Fp32 ? scanned_ : rest_).row(row));
    const auto *high = reinterpret_cast<const std::uint16_t *>(scanned_.row(row));
    const auto *low = reinterpret_cast<const std::uint16_t *>(rest_.row(row));
    for (std::size_t i = 0; i < stride_; ++i)
        scratch[i] = std::bit_cast<float>((std::uint32_t{high[i]} << 16) | low[i]);
    return scratch;
}

ScanQueries ExactRows::prepare(AlignedVector<float> values, std::size_t count) const {
    const int most = scan_kernels().most_query_byte;
    ScanQueries queries;
    queries.values = std::move(values);
    queries.each.resize(count);
    if (format_ == RowFormat::Int8)
        queries.bytes.resize(count * stride_);
    for (std::size_t q = 0; q < count; ++q) {
        const float *query = &queries.values[q * stride_];
        ScanQueries::One &one = queries.each[q];
        const double norm = std::sqrt(squares(query, dims_)) * kRoundUp;
        one.norm = one.scanned_norm = static_cast<float>(std::min(norm, 3e38));
        // No bound holds where products may leave the range of float.
        const bool bounded = norm == 0 || (norm > kSmallestNorm && norm < kLargestNorm);
        if (!bounded)
            one.error = kInfinity;
        if (format_ != RowFormat::Int8)
            continue;
        one.scale = bounded ? byte_scale(query, dims_, most) : 0;
        double seen = 0;
        double error = 0;
        for (std::size_t i = 0; i < dims_; ++i) {
            const std::int32_t byte = one.scale > 0 ? to_byte(query[i], one.scale, most) : 0;
            queries.bytes[q * stride_ + i] = static_cast<std::int8_t>(byte);
            one.offset += 128 * byte;
            const double value = static_cast<double>(byte) * one.scale;
            seen += value * value;
            error += (query[i] - value) * (query[i] - value);
        }
        if (bounded) {
            one.scanned_norm = static_cast<float>(std::sqrt(seen) * kRoundUp);
            one.error = static_cast<float>(std::sqrt(error) * kRoundUp);
        }
    }
    return queries;
}

std::size_t ExactRows::scan(std::size_t first, std::size_t most, const ScanQueries &queries,
                            float *products, std::int32_t *sums) const {
    const std::size_t count = std::min({most, scanned_.run_length(first), kScanRows});
    const std::size_t query_count = queries.each.size();
    const ScanKernels &kernels = scan_kernels();
    const std::byte *rows = scanned_.row(first);
    if (format_ == RowFormat::Fp32) {
        kernels.f32(reinterpret_cast<const float *>(rows), count, queries.values.data(),
                    query_count, stride_, products);
        return count;
    }
    if (format_ == RowFormat::Bf16) {
        kernels.bf16(reinterpret_cast<const std::uint16_t *>(rows), count,
                     queries.values.data(), query_count, stride_, products);
        for (std::size_t q = 0; q < query_count; ++q)
            for (std::size_t r = 0; r < count; ++r)
                products[q * kScanRows + r] *= scales_[first + r];
        return count;
    }
    kernels.u8(reinterpret_cast<const std::uint8_t *>(rows), count, queries.bytes.data(),
               query_count, stride_, sums);
    for (std::size_t q = 0; q < query_count; ++q) {
        const ScanQueries::One &one = queries.each[q];
        for (std::size_t r = 0; r < count; ++r)
            products[q * kScanRows + r] =
                static_cast<float>(sums[q * kScanRows + r] - one.offset) * one.scale *
                scales_[first + r];
    }
    return count;
}

void ExactRows::save(IndexSink &sink, const std::unordered_set<std::uint32_t> &blank) const {
    const std::vector<std::byte> zeros(std::max(scanned_.row_bytes(), rest_.row_bytes()));
    std::vector<float> norms = norms_;
    for (const std::uint32_t row : blank)
        norms[row] = 0; // a length says something of a face too
    sink.list(norms);
    sink.list(errors_);
    sink.list(scales_);
    for (const RowBlocks *blocks : {&scanned_, &rest_})
        for (std::size_t row = 0; row < blocks->size(); ++row)
            sink.bytes(blank.contains(static_cast<std::uint32_t>(row)) ? zeros.data()
                                                                       : blocks->row(row),
                       blocks->row_bytes());
}

bool ExactRows::restore(IndexSource &source, std::size_t count) {
    const bool split = format_ != RowFormat::Fp32;
    if (!source.holds(count, scanned_.row_bytes() + (split ? rest_.row_bytes() : 0)))
        return false;
    norms_ = source.list<float>(count);
    errors_ = source.list<float>(count);
    scales_ = source.list<float>(count);
    if (!source.ok())
        return false;
    for (std::size_t i = 0; i < count; ++i)
        if (!(norms_[i] >= 0) || !std::isfinite(norms_[i]) || !(errors_[i] >= 0) ||
            !std::isfinite(scales_[i]))
            return false;
    for (RowBlocks *blocks : {&scanned_, &rest_}) {
        if (blocks == &rest_ && !split)
            continue;
        for (std::size_t row = 0; row < count && source.ok(); ++row)
            source.bytes(blocks->append(), blocks->row_bytes());
    }
    return source.ok() && all_finite();
}

/// No value of any row is an infinity or no number: distances must have an order.
bool ExactRows::all_finite() const {
    for (std::size_t row = 0; row < size(); ++row) {
        std::uint32_t worst = 0;
        if (format_ == RowFormat::Bf16) {
            const std::uint16_t *halves = scanned_halves(row);
            for (std::size_t i = 0; i < stride_; ++i)
                worst |= std::uint32_t{(halves[i] & 0x7F80U) == 0x7F80U};
        } else {
            const float *values = exact(row, nullptr);
            for (std::size_t i = 0; i < stride_; ++i)
                worst |= std::uint32_t{
                    (std::bit_cast<std::uint32_t>(values[i]) & 0x7F800000U) == 0x7F800000U};
        }
        if (worst != 0)
            return false;
    }
    return true;
}

} // namespace sphere
