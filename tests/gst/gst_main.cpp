// SPDX-License-Identifier: MIT
// main() of the element tests: GStreamer first, then GoogleTest.
#include <gst/gst.h>
#include <gtest/gtest.h>

int main(int argc, char **argv) {
    gst_init(&argc, &argv);
    testing::InitGoogleTest(&argc, argv);
    const int result = RUN_ALL_TESTS();
    gst_deinit(); // so that the leaks tracer and sanitizers see an empty house
    return result;
}
