// SPDX-License-Identifier: MIT
// Choice of an instruction set, by the machine and by SPHERE_CPU.
#include "core/base/cpu.h"
#include "core/base/log.h"
#include "tests/support/gallery_testing.h"

#include <fstream>
#include <set>

namespace sphere::testing {
namespace {

struct LogLines {
    LogLines() {
        set_log_sink([this](LogLevel, std::string_view line) { text += line; });
    }
    ~LogLines() { set_log_sink({}); }
    std::string text;
};

TEST(Cpu, NamesBothWays) {
    std::set<std::string> names;
    for (const CpuLevel level :
         {CpuLevel::Scalar, CpuLevel::Neon, CpuLevel::Avx2, CpuLevel::Avx512}) {
        names.insert(cpu_level_name(level));
        EXPECT_EQ(*parse_cpu_level(cpu_level_name(level)), level);
    }
    EXPECT_EQ(names, (std::set<std::string>{"scalar", "neon", "avx2", "avx512"}));
    for (const char *wrong : {"", "AVX2", "sse", "avx512 "}) {
        const auto level = parse_cpu_level(wrong);
        ASSERT_FALSE(level.ok()) << wrong;
        EXPECT_NE(level.error().message.find("avx512"), std::string::npos);
    }
}

TEST(Cpu, AForcedLevelIsTaken) {
    const LogLines log;
    EXPECT_EQ(choose_cpu_level(nullptr, CpuLevel::Avx512), CpuLevel::Avx512);
    EXPECT_EQ(choose_cpu_level("", CpuLevel::Avx2), CpuLevel::Avx2);
    EXPECT_EQ(choose_cpu_level("avx512", CpuLevel::Avx512), CpuLevel::Avx512);
    EXPECT_EQ(choose_cpu_level("avx2", CpuLevel::Avx512), CpuLevel::Avx2);
    EXPECT_EQ(choose_cpu_level("scalar", CpuLevel::Avx512), CpuLevel::Scalar);
    EXPECT_EQ(choose_cpu_level("scalar", CpuLevel::Neon), CpuLevel::Scalar);
    EXPECT_EQ(log.text, "");
}

TEST(Cpu, WhatTheMachineCannotRunIsNotTaken) {
    const LogLines log;
    EXPECT_EQ(choose_cpu_level("avx512", CpuLevel::Avx2), CpuLevel::Avx2);
    EXPECT_EQ(choose_cpu_level("avx2", CpuLevel::Scalar), CpuLevel::Scalar);
    EXPECT_EQ(choose_cpu_level("neon", CpuLevel::Avx512), CpuLevel::Avx512);
    EXPECT_EQ(choose_cpu_level("avx2", CpuLevel::Neon), CpuLevel::Neon);
    EXPECT_NE(log.text.find("cannot run avx512; avx2 is used"), std::string::npos) << log.text;
}

TEST(Cpu, AnUnknownNameIsSaid) {
    const LogLines log;
    EXPECT_EQ(choose_cpu_level("avx3", CpuLevel::Avx2), CpuLevel::Avx2);
    EXPECT_NE(log.text.find("SPHERE_CPU"), std::string::npos) << log.text;
    EXPECT_NE(log.text.find("avx3"), std::string::npos) << log.text;
}

TEST(Cpu, ExtensionsFollowTheLevel) {
    const CpuExtensions all{true, true, true};
    EXPECT_EQ(limit_cpu_extensions(all, CpuLevel::Avx512), all);
    EXPECT_EQ(limit_cpu_extensions(all, CpuLevel::Avx2), (CpuExtensions{true, false, false}));
    EXPECT_EQ(limit_cpu_extensions(all, CpuLevel::Scalar), CpuExtensions{});
    EXPECT_EQ(limit_cpu_extensions(all, CpuLevel::Neon), CpuExtensions{});
    EXPECT_EQ(limit_cpu_extensions({}, CpuLevel::Avx512), CpuExtensions{});
}

TEST(Cpu, TheVariableDecidesInAProcessOfItsOwn) {
    for (const char *name : {"scalar", "avx2", "avx512"}) {
        const CpuLevel level = *parse_cpu_level(name);
        const bool runs = cpu_level_runs_on(level, detected_cpu_level());
        const CpuLevel expected = runs ? level : detected_cpu_level();
        EXPECT_EQ(in_child([&] {
                      set_log_sink({});
                      setenv("SPHERE_CPU", name, 1);
                      const bool extensions_fit =
                          cpu_extensions() ==
                          limit_cpu_extensions(detected_cpu_extensions(), expected);
                      return cpu_level() == expected && extensions_fit ? 0 : 1;
                  }),
                  0)
            << name;
    }
}

// Against what the kernel says, where it says it.
TEST(Cpu, AgreesWithTheKernelsList) {
    std::ifstream file("/proc/cpuinfo");
    std::string line;
    while (std::getline(file, line) && !line.starts_with("flags"))
        ;
    if (!line.starts_with("flags"))
        GTEST_SKIP() << "no flags line in /proc/cpuinfo";
    line += ' ';
    const auto has = [&line](const std::string &flag) {
        return line.find(" " + flag + " ") != std::string::npos;
    };
    const bool avx2 = has("avx2") && has("fma") && has("f16c");
    const bool avx512 =
        avx2 && has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl");
    EXPECT_EQ(detected_cpu_level(), avx512 ? CpuLevel::Avx512
                                    : avx2 ? CpuLevel::Avx2
                                           : CpuLevel::Scalar);
    EXPECT_EQ(detected_cpu_extensions(),
              (CpuExtensions{has("avx_vnni") && avx2, has("avx512_vnni") && avx512,
                             has("avx512_bf16") && avx512}));
}

} // namespace
} // namespace sphere::testing
