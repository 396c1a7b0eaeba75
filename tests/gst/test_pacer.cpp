// SPDX-License-Identifier: MIT
// Which frames are looked at, by time and load alone.
#include "gst/elements/inference_pacer.h"

#include <gtest/gtest.h>

using sphere::gst::InferencePacer;
using Decision = InferencePacer::Decision;

namespace {

constexpr std::uint64_t kFrame = 40'000'000; // 25 a second

/// Frames looked at of `frames`, where a detection takes `cost` ns and frames come in time.
int looked(InferencePacer &pacer, int frames, std::uint64_t cost, std::int64_t lateness = 0) {
    int count = 0;
    for (int i = 0; i < frames; ++i)
        if (pacer.decide(static_cast<std::uint64_t>(i) * kFrame, lateness) == Decision::Look) {
            pacer.detected(cost);
            ++count;
        }
    return count;
}

TEST(Pacer, AFixedIntervalIsEachNth) {
    InferencePacer pacer;
    pacer.configure(3, true);
    for (int i = 0; i < 12; ++i)
        EXPECT_EQ(pacer.decide(std::nullopt, std::nullopt),
                  i % 3 == 0 ? Decision::Look : Decision::Interval);
    pacer.restart();
    EXPECT_EQ(pacer.decide(std::nullopt, std::nullopt), Decision::Look);
}

TEST(Pacer, AFileIsLookedAtWhole) {
    InferencePacer pacer;
    pacer.configure(0, false);
    EXPECT_EQ(looked(pacer, 100, 10 * kFrame, 100 * kFrame), 100);
}

TEST(Pacer, ALiveStreamGetsItsShareOfTime) {
    InferencePacer fast;
    fast.configure(0, true);
    EXPECT_EQ(looked(fast, 100, kFrame / 4), 100);
    InferencePacer slow; // two frames' time: with half of the time, each fourth
    slow.configure(0, true);
    const int count = looked(slow, 400, 2 * kFrame);
    EXPECT_GE(count, 95);
    EXPECT_LE(count, 105);
}

TEST(Pacer, GrowingLatenessLooksLess) {
    InferencePacer pacer;
    pacer.configure(0, true);
    int early = 0, late = 0;
    for (int i = 0; i < 100; ++i)
        if (pacer.decide(i * kFrame, 1000) == Decision::Look) {
            pacer.detected(kFrame / 3);
            ++early;
        }
    for (int i = 100; i < 200; ++i)
        if (pacer.decide(i * kFrame, (i - 90) * 10'000'000LL) == Decision::Look) {
            pacer.detected(kFrame / 3);
            ++late;
        }
    EXPECT_EQ(early, 100);
    EXPECT_LT(late, 40);
    EXPECT_GE(late, 4); // once a second at least
    // A constant delay is none of ours: all frames again, in time.
    int after = 0;
    for (int i = 200; i < 500; ++i)
        if (pacer.decide(i * kFrame, 1'100'000'000) == Decision::Look) {
            pacer.detected(kFrame / 3);
            after += i >= 400 ? 1 : 0;
        }
    EXPECT_EQ(after, 100);
}

TEST(Pacer, ASinksReportsCount) {
    InferencePacer pacer;
    pacer.configure(0, true);
    pacer.detected(kFrame / 3);
    for (int i = 0; i < 10; ++i)
        pacer.reported(50'000'000);
    EXPECT_LT(looked(pacer, 20, kFrame / 3), 8);
}

TEST(Pacer, TimeThatGoesBackIsAFreshStart) {
    InferencePacer pacer;
    pacer.configure(0, true);
    pacer.detected(100 * kFrame);
    EXPECT_EQ(pacer.decide(1000 * kFrame, 0), Decision::Look);
    EXPECT_EQ(pacer.decide(1001 * kFrame, 0), Decision::Load);
    EXPECT_EQ(pacer.decide(3 * kFrame, 0), Decision::Look);
    EXPECT_EQ(pacer.decide(std::nullopt, 0), Decision::Look);
}

} // namespace
