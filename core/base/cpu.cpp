// SPDX-License-Identifier: MIT
// Detection of instruction sets.
#include "core/base/cpu.h"

#include "core/base/log.h"

#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sphere {
namespace {

struct LevelName {
    CpuLevel level;
    const char *name;
};
constexpr LevelName kLevelNames[] = {
    {CpuLevel::Scalar, "scalar"},
    {CpuLevel::Neon, "neon"},
    {CpuLevel::Avx2, "avx2"},
    {CpuLevel::Avx512, "avx512"},
};

#if defined(__x86_64__)
// Leaf 1, ECX: bit 29 (Intel SDM, CPUID). Clang 14 does not know it by name.
bool has_f16c() {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & (1U << 29)) != 0;
}

// __builtin_cpu_supports looks at XCR0 too: what the operating system does not save is absent.
CpuLevel detect_level() {
    __builtin_cpu_init();
    const bool avx2 =
        __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c();
    if (!avx2)
        return CpuLevel::Scalar;
    const bool avx512 =
        __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
        __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
    return avx512 ? CpuLevel::Avx512 : CpuLevel::Avx2;
}

CpuExtensions detect_extensions() {
    CpuExtensions extensions;
    extensions.avx512_vnni = __builtin_cpu_supports("avx512vnni") != 0;
    // Leaf 7, sub-leaf 1, EAX: bit 4 AVX-VNNI, bit 5 AVX512-BF16 (Intel SDM, CPUID). Older
    // compilers do not know their names.
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
        extensions.avx_vnni = (eax & (1U << 4)) != 0;
        extensions.avx512_bf16 = (eax & (1U << 5)) != 0;
    }
    return limit_cpu_extensions(extensions, detected_cpu_level());
}
#else
CpuLevel detect_level() {
#if defined(__aarch64__)
    return CpuLevel::Neon; // part of the architecture
#else
    return CpuLevel::Scalar;
#endif
}
CpuExtensions detect_extensions() {
    return {};
}
#endif

} // namespace

const char *cpu_level_name(CpuLevel level) noexcept {
    for (const LevelName &entry : kLevelNames)
        if (entry.level == level)
            return entry.name;
    return "scalar";
}

Result<CpuLevel> parse_cpu_level(std::string_view name) {
    for (const LevelName &entry : kLevelNames)
        if (name == entry.name)
            return entry.level;
    return fail(Errc::InvalidArgument, "no instruction set named \"", std::string(name),
                "\": use scalar, neon, avx2 or avx512");
}

CpuLevel detected_cpu_level() noexcept {
    static const CpuLevel level = detect_level();
    return level;
}

CpuExtensions detected_cpu_extensions() noexcept {
    static const CpuExtensions extensions = detect_extensions();
    return extensions;
}

bool cpu_level_runs_on(CpuLevel level, CpuLevel machine) noexcept {
    if (level == CpuLevel::Scalar || level == machine)
        return true;
    return level == CpuLevel::Avx2 && machine == CpuLevel::Avx512;
}

CpuLevel choose_cpu_level(const char *wanted, CpuLevel machine) noexcept {
    if (wanted == nullptr || *wanted == '\0')
        return machine;
    try {
        const auto level = parse_cpu_level(wanted);
        if (level.ok() && cpu_level_runs_on(*level, machine))
            return *level;
        const std::string why = level.ok() ? std::string("this machine cannot run ") + wanted
                                           : level.error().message;
        log(LogLevel::Warning,
            "SPHERE_CPU: " + why + "; " + cpu_level_name(machine) + " is used");
    } catch (const std::exception &) {
        log(LogLevel::Warning, "SPHERE_CPU is not followed: not enough memory");
    }
    return machine;
}

CpuExtensions limit_cpu_extensions(CpuExtensions machine, CpuLevel level) noexcept {
    const bool avx512 = level == CpuLevel::Avx512;
    machine.avx_vnni = machine.avx_vnni && (avx512 || level == CpuLevel::Avx2);
    machine.avx512_vnni = machine.avx512_vnni && avx512;
    machine.avx512_bf16 = machine.avx512_bf16 && avx512;
    return machine;
}

CpuLevel cpu_level() noexcept {
    static const CpuLevel level =
        choose_cpu_level(std::getenv("SPHERE_CPU"), detected_cpu_level());
    return level;
}

CpuExtensions cpu_extensions() noexcept {
    static const CpuExtensions extensions =
        limit_cpu_extensions(detected_cpu_extensions(), cpu_level());
    return extensions;
}

} // namespace sphere
