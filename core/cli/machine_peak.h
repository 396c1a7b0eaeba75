// SPDX-License-Identifier: MIT
// What one core of this machine can do at most, measured on the spot: products and sums in
// registers, and bytes from memory.
#pragma once

namespace sphere::cli {

/// Multiplications and additions a second, in 1e9; 0 where the CPU lacks the instruction, or is
/// none that this knows (x86-64 with AVX2). By AVX-512 fp32: vfmadd231ps, bf16: vdpbf16ps,
/// int8: vpdpbusd; by AVX2 fp32: vfmadd231ps, int8: four vpmaddubsw and
/// three vpaddw to one vpmaddwd and vpaddd, the products of bytes and their additions counted.
/// Twelve independent sums each, which hides a latency of four cycles at three instructions a
/// cycle. Takes about half a second.
struct ArithmeticPeak {
    double fp32 = 0, bf16 = 0, int8 = 0;
};
ArithmeticPeak measure_peak();

/// Bytes copied from memory to memory, in 1e9 a second: as many are read as written. Errors:
/// none; 0 where 1 GiB cannot be had.
double measure_copied_gb_per_s();

} // namespace sphere::cli
