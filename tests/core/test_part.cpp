// SPDX-License-Identifier: MIT
// Parts of the core that are loaded when they are needed.
#include "core/base/part.h"

#include "core/image/codec.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace sphere {
namespace {

bool loaded(const std::string &library) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find(library) != std::string::npos)
            return true;
    return false;
}

void expect_unsupported(const Result<const void *> &found, const std::string &mentions) {
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, Errc::Unsupported);
    EXPECT_NE(found.error().message.find(mentions), std::string::npos) << found.error().message;
    EXPECT_NE(found.error().message.find("libspherecore-"), std::string::npos);
}

// First, as what is loaded stays.
TEST(Part, IsNotLoadedUntilItIsNeeded) {
    EXPECT_FALSE(loaded("libspherecore-opencv"));
    EXPECT_FALSE(loaded("libopencv_core")) << "something else brings OpenCV along";
    std::vector<std::thread> threads;
    std::vector<int> ready(4);
    for (int &one : ready)
        threads.emplace_back([&one] { one = load_picture_coder().ok() ? 1 : 0; });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(ready, std::vector<int>(4, 1));
    EXPECT_TRUE(loaded("libspherecore-opencv"));
    EXPECT_TRUE(loaded("libopencv_imgcodecs"));
}

TEST(Part, AnAbsentOneIsNamed) {
    expect_unsupported(part_symbol("nothing", "sphere_nothing"), "libspherecore-nothing-");
}

TEST(Part, ASymbolThatItLacksIsNamed) {
    expect_unsupported(part_symbol("opencv", "sphere_opencv_nothing"), "sphere_opencv_nothing");
}

TEST(Part, WritesAndReadsAPicture) {
    const testing_support::TemporaryDirectory directory;
    Image image(4, 3);
    for (std::size_t i = 0; i < image.bgr.size(); ++i)
        image.bgr[i] = static_cast<std::uint8_t>(7 * i);
    const std::string path = directory.path() + "/picture.png";
    ASSERT_TRUE(write_image(path, image).ok());
    const auto read = read_image(path);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->bgr, image.bgr);
}

} // namespace
} // namespace sphere
