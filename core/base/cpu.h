// SPDX-License-Identifier: MIT
// Which instruction set kernels may use, found at run time.
#pragma once

#include "core/base/result.h"

#include <string_view>

namespace sphere {

/// A set of instructions that kernels are compiled for, one source file each. A higher level of
/// one architecture includes the lower ones.
enum class CpuLevel : std::uint8_t {
    Scalar, ///< what the compiler takes by default (SSE2 on x86-64): always there
    Neon,   ///< 64-bit ARM
    Avx2,   ///< AVX2, FMA and F16C (Intel since 2013, AMD since 2015)
    Avx512, ///< AVX-512 F, BW, DQ and VL (Intel servers since 2017, AMD since 2022), and AVX2
};

/// "scalar", "neon", "avx2", "avx512"
const char *cpu_level_name(CpuLevel level) noexcept;
/// InvalidArgument, naming the levels, for any other name.
Result<CpuLevel> parse_cpu_level(std::string_view name);

/// Extensions beyond a level that some kernels know how to use.
struct CpuExtensions {
    bool avx_vnni = false;    ///< 8-bit dot products in 256-bit registers
    bool avx512_vnni = false; ///< 8-bit dot products in 512-bit registers
    bool avx512_bf16 = false; ///< bfloat16 dot products
    bool operator==(const CpuExtensions &) const = default;
};

/// What this machine and its operating system can run. Each is found once.
CpuLevel detected_cpu_level() noexcept;
CpuExtensions detected_cpu_extensions() noexcept;

/// Whether code of `level` runs on a machine whose best level is `machine`.
bool cpu_level_runs_on(CpuLevel level, CpuLevel machine) noexcept;

/// The level that kernels are to use: the machine's, or the one that the environment variable
/// SPHERE_CPU names (scalar, neon, avx2, avx512), read once, at the first call. A name that is
/// unknown or that the machine cannot run is warned of in the log and not followed.
CpuLevel cpu_level() noexcept;

/// The extensions that kernels are to use: the machine's, as far as cpu_level() includes what
/// they extend.
CpuExtensions cpu_extensions() noexcept;

/// The rule of cpu_level(), for tests: `wanted` is the variable's value, null where it is not
/// set.
CpuLevel choose_cpu_level(const char *wanted, CpuLevel machine) noexcept;
/// The rule of cpu_extensions(), for tests.
CpuExtensions limit_cpu_extensions(CpuExtensions machine, CpuLevel level) noexcept;

// How to add a kernel: NAME_avx2.cpp is listed in core_avx2_sources of its folder's meson.build
// (NAME_avx512.cpp in core_avx512_sources, NAME_neon.cpp in core_sources), puts its contents in
// an unnamed namespace within `#if defined(__AVX2__)`, calls no inline function or template
// with external linkage (the linker might take that file's copy of it for everybody), and
// exports one function that returns its table, or null where the compiler's target lacks the
// instructions. Who calls takes the best table at or below cpu_level().

} // namespace sphere
