// SPDX-License-Identifier: MIT
// Embeddings as a large gallery has them, for benches and slow tests.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sphere::bench {

/// xoshiro256** (public domain, D. Blackman and S. Vigna): a million rows take half a billion
/// numbers.
class Random {
  public:
    explicit Random(std::uint64_t seed) {
        for (std::uint64_t &word : state_) { // splitmix64
            seed += 0x9E3779B97F4A7C15ULL;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
            word = z ^ (z >> 31);
        }
    }
    std::uint64_t next() {
        const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = rotate(state_[3], 45);
        return result;
    }
    /// Variance 1, bell-shaped: the sum of four 16-bit uniform numbers.
    float bell() {
        const std::uint64_t bits = next();
        const auto sum = static_cast<float>((bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) +
                                            ((bits >> 32) & 0xFFFF) + (bits >> 48));
        return (sum - 131070.0F) / 37837.2F;
    }

  private:
    static std::uint64_t rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
    std::uint64_t state_[4];
};

inline void make_unit(float *row, std::size_t dims) {
    double squares = 0;
    for (std::size_t d = 0; d < dims; ++d)
        squares += static_cast<double>(row[d]) * row[d];
    for (std::size_t d = 0; d < dims; ++d)
        row[d] = static_cast<float>(row[d] / std::sqrt(squares));
}

/// `own` * unit(row) + sqrt(1 - own^2) * a random direction, at unit length.
inline void blur(float *row, std::size_t dims, float own, Random &random) {
    make_unit(row, dims);
    const float noise = std::sqrt((1 - own * own) / static_cast<float>(dims));
    for (std::size_t d = 0; d < dims; ++d)
        row[d] = own * row[d] + noise * random.bell();
    make_unit(row, dims);
}

/// Row i belongs to identity i % (rows / 10): about ten a centre, cosine 0.8 between two of one
/// identity, about 0 between others.
inline std::vector<float> make_identities(std::size_t rows, std::size_t dims,
                                          std::uint64_t seed) {
    Random random(seed);
    const std::size_t centres = rows < 10 ? 1 : rows / 10;
    std::vector<float> middle(centres * dims);
    for (float &value : middle)
        value = random.bell();
    std::vector<float> data(rows * dims);
    for (std::size_t i = 0; i < rows; ++i) {
        float *row = &data[i * dims];
        for (std::size_t d = 0; d < dims; ++d)
            row[d] = middle[i % centres * dims + d];
        blur(row, dims, std::sqrt(0.8F), random);
    }
    return data;
}

struct Planted {
    std::vector<float> queries;
    std::vector<std::size_t> rows; ///< the one that each was made from: cosine 0.95
};
inline Planted plant_near_duplicates(const std::vector<float> &data, std::size_t dims,
                                     std::size_t count, std::uint64_t seed) {
    Random random(seed);
    Planted planted;
    planted.queries.resize(count * dims);
    for (std::size_t q = 0; q < count; ++q) {
        planted.rows.push_back(random.next() % (data.size() / dims));
        float *query = &planted.queries[q * dims];
        for (std::size_t d = 0; d < dims; ++d)
            query[d] = data[planted.rows.back() * dims + d];
        blur(query, dims, 0.95F, random);
    }
    return planted;
}

} // namespace sphere::bench
