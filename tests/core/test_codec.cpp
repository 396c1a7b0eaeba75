// SPDX-License-Identifier: MIT
// Picture files: each broken and unusual one of the data set, sizes that lie, and writing.
#include "core/image/codec.h"

#include "core/base/log.h"
#include "core/image/probe.h"

#include "tests/support/test_pictures.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace sphere {
namespace {

using testing_support::data_folder;
namespace fs = std::filesystem;

/// Gathers the log's warnings while it lives.
class Warnings {
  public:
    Warnings() {
        set_log_sink([this](LogLevel level, std::string_view message) {
            if (level == LogLevel::Warning)
                text += std::string(message) + "\n";
        });
    }
    ~Warnings() { set_log_sink({}); }
    std::string text;
};

class Codec : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "sphere-codec-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { fs::remove_all(folder_); }
    std::string write(const std::string &name, const std::vector<std::uint8_t> &content) {
        std::ofstream(folder_ / name, std::ios::binary)
            .write(reinterpret_cast<const char *>(content.data()),
                   static_cast<std::streamsize>(content.size()));
        return folder_ / name;
    }
    fs::path folder_;
};

class Faults : public testing::Test {
  protected:
    void SetUp() override {
        folder_ = data_folder() / "data" / "faults";
        if (!fs::exists(folder_))
            GTEST_SKIP() << "no test data at " << folder_ << " (set SPHERE_TEST_DATA)";
    }
    Result<Image> read(const char *name) { return read_image(folder_ / name); }
    fs::path folder_;
};

double mean_difference(const Image &a, const Image &b) {
    if (a.width != b.width || a.height != b.height)
        return 1e9;
    double sum = 0;
    for (std::size_t i = 0; i < a.bgr.size(); ++i)
        sum += std::abs(a.bgr[i] - b.bgr[i]);
    return sum / static_cast<double>(a.bgr.size());
}

TEST_F(Faults, EachPictureIsReadOrRefused) {
    struct Case {
        const char *name;
        int width, height; ///< 0: refused as corrupt
    };
    constexpr Case kCases[] = {
        {"exif_orientation6.jpg", 320, 240},
        {"gray.jpg", 320, 240},
        {"gray16.png", 320, 240},
        {"one_pixel.png", 1, 1},
        {"rgb16.png", 320, 240},
        {"rgba.png", 320, 240},
        {"tall_3x4000.png", 3, 4000},
        {"wide_4000x3.png", 4000, 3},
        {"truncated.jpg", 320, 240},
        {"text.jpg", 0, 0},
        {"truncated.png", 0, 0},
        {"zero_bytes.jpg", 0, 0},
        {"truncated_faststart.mp4", 0, 0},
        {"truncated_no_moov.mp4", 0, 0},
    };
    for (const auto &[name, width, height] : kCases) {
        SCOPED_TRACE(name);
        const Warnings warnings;
        const Result<Image> image = read(name);
        const bool truncated = std::string(name) == "truncated.jpg";
        EXPECT_EQ(warnings.text.find(name) != std::string::npos, truncated) << warnings.text;
        ASSERT_EQ(image.ok(), width > 0) << (image.ok() ? "" : image.error().message);
        if (width > 0) {
            EXPECT_EQ(image->width, width);
            EXPECT_EQ(image->height, height);
            EXPECT_EQ(image->bgr.size(), std::size_t(width) * std::size_t(height) * 3);
        } else {
            EXPECT_EQ(image.error().code, Errc::Corrupt);
            EXPECT_NE(image.error().message.find(name), std::string::npos);
        }
    }
}

// They were all made from one photograph, so they must look like it.
TEST_F(Faults, UnusualKindsShowTheSamePicture) {
    const auto original =
        read_image(data_folder() / "data" / "photos" / "face_recognition" / "obama_small.jpg");
    ASSERT_TRUE(original.ok()) << original.error().message;
    for (const char *name : {"exif_orientation6.jpg", "rgb16.png", "rgba.png"})
        EXPECT_LT(mean_difference(*read(name), *original), 4) << name;

    Image gray = *original;
    for (std::size_t i = 0; i < gray.bgr.size(); i += 3) {
        const double luma =
            0.114 * gray.bgr[i] + 0.587 * gray.bgr[i + 1] + 0.299 * gray.bgr[i + 2];
        gray.bgr[i] = gray.bgr[i + 1] = gray.bgr[i + 2] = static_cast<std::uint8_t>(luma + 0.5);
    }
    for (const char *name : {"gray.jpg", "gray16.png"}) {
        const Result<Image> image = read(name);
        ASSERT_TRUE(image.ok());
        EXPECT_LT(mean_difference(*image, gray), 4) << name;
        for (std::size_t i = 0; i < image->bgr.size(); i += 3)
            ASSERT_TRUE(image->bgr[i] == image->bgr[i + 1] &&
                        image->bgr[i] == image->bgr[i + 2]);
    }
}

TEST_F(Faults, TruncatedJpegKeepsItsUpperPart) {
    const auto original =
        read_image(data_folder() / "data" / "photos" / "face_recognition" / "obama_small.jpg");
    const Result<Image> image = read("truncated.jpg");
    ASSERT_TRUE(original.ok() && image.ok());
    Image top = *image, expected = *original;
    top.height = expected.height = 80;
    top.bgr.resize(320 * 80 * 3);
    expected.bgr.resize(320 * 80 * 3);
    EXPECT_LT(mean_difference(top, expected), 4);
    EXPECT_GT(mean_difference(*image, *original), 10); // and the rest is missing
}

TEST_F(Codec, WhatIsNoPictureIsRefused) {
    EXPECT_EQ(read_image(folder_ / "absent.png").error().code, Errc::NotFound);
    EXPECT_EQ(read_image(folder_).error().code, Errc::Corrupt);
    EXPECT_EQ(read_image(write("empty.png", {})).error().code, Errc::Corrupt);
    EXPECT_EQ(read_image(write("x.jpg", {0xFF, 0xD8, 0xFF})).error().code, Errc::Corrupt);
    const std::string fifo = folder_ / "fifo.png";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(read_image(fifo).error().code, Errc::Corrupt); // and does not wait for a writer
}

/// A header of each format that claims sides of `w` and `h`; the least that carries them.
std::vector<std::pair<std::string, std::vector<std::uint8_t>>> headers(std::uint32_t w,
                                                                       std::uint32_t h) {
    const auto byte = [](std::uint32_t v, int shift) { return std::uint8_t(v >> shift); };
    std::vector<std::uint8_t> png = {0x89, 'P', 'N', 'G', 13,  10,  26,  10,
                                     0,    0,   0,   13,  'I', 'H', 'D', 'R'};
    for (const std::uint32_t v : {w, h})
        png.insert(png.end(), {byte(v, 24), byte(v, 16), byte(v, 8), byte(v, 0)});
    png.insert(png.end(), {8, 2, 0, 0, 0});

    std::vector<std::uint8_t> jpeg = {0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xC0, 0, 17, 8};
    jpeg.insert(jpeg.end(), {byte(h, 8), byte(h, 0), byte(w, 8), byte(w, 0)});
    jpeg.insert(jpeg.end(), {3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1});
    // A Huffman table: of the markers from C0 to CF one of the three that start no frame.
    jpeg.insert(jpeg.end(), {0xFF, 0xC4, 0, 9, 7, 7, 7, 7, 7, 7, 7});
    jpeg.insert(jpeg.end(), {0xFF, 0xDA, 0, 2, 0, 0, 0, 0, 0, 0, 0});

    std::vector<std::uint8_t> bmp(54);
    bmp[0] = 'B', bmp[1] = 'M', bmp[14] = 40;
    std::vector<std::uint8_t> webp = {'R', 'I', 'F', 'F', 99, 0, 0, 0, 'W', 'E', 'B', 'P',
                                      'V', 'P', '8', 'X', 10, 0, 0, 0, 0,   0,   0,   0};
    for (const std::uint32_t v : {w - 1, h - 1})
        webp.insert(webp.end(), {byte(v, 0), byte(v, 8), byte(v, 16)});
    std::vector<std::uint8_t> little = {'I', 'I', 42, 0, 8, 0, 0, 0, 2, 0};
    std::vector<std::uint8_t> big = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 2};
    for (std::size_t i = 0; i < 2; ++i) {
        const std::uint32_t v = i == 0 ? w : h;
        for (int k = 0; k < 4; ++k)
            bmp[18 + 4 * i + std::size_t(k)] = byte(v, 8 * k);
        little.insert(little.end(), {std::uint8_t(i), 1, 4, 0, 1, 0, 0, 0, byte(v, 0),
                                     byte(v, 8), byte(v, 16), byte(v, 24)});
        big.insert(big.end(), {1, std::uint8_t(i), 0, 4, 0, 0, 0, 1, byte(v, 24), byte(v, 16),
                               byte(v, 8), byte(v, 0)});
    }
    const std::string pnm =
        "P6 # a comment\n" + std::to_string(w) + " " + std::to_string(h) + "\n255\n";
    return {{"PNG", png},
            {"JPEG", jpeg},
            {"BMP", bmp},
            {"WebP", webp},
            {"TIFF", little},
            {"TIFF", big},
            {"PNM", {pnm.begin(), pnm.end()}}};
}

TEST_F(Codec, SizesAreKnownBeforeDecoding) {
    for (const auto &[format, bytes] : headers(60000, 50000)) {
        SCOPED_TRACE(format);
        const auto header = probe_picture(bytes);
        ASSERT_TRUE(header);
        EXPECT_EQ(header->format, format);
        EXPECT_EQ(header->width, 60000);
        EXPECT_EQ(header->height, 50000);
        const auto result = read_image(write("bomb", bytes));
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code, Errc::Corrupt);
        EXPECT_NE(result.error().message.find("60000x50000"), std::string::npos)
            << result.error().message;
    }
    for (const auto &[format, bytes] : headers(0, 50))
        if (format != "WebP") { // whose sides are stored less one
            EXPECT_FALSE(probe_picture(bytes)) << format;
        }
}

// Cut or changed anywhere, a header is refused or read; the sanitizers watch.
TEST_F(Codec, DamagedHeadersAreHarmless) {
    std::mt19937 rng(5);
    int refused = 0, read = 0;
    for (const auto &[format, whole] : headers(300, 200)) {
        for (std::size_t n = 0; n <= whole.size(); ++n) {
            const std::vector<std::uint8_t> cut(whole.begin(),
                                                whole.begin() + static_cast<std::ptrdiff_t>(n));
            ++(probe_picture(cut) ? read : refused);
        }
        for (int i = 0; i < 2000; ++i) {
            auto changed = whole;
            changed[rng() % changed.size()] = static_cast<std::uint8_t>(rng());
            changed[rng() % changed.size()] = static_cast<std::uint8_t>(rng());
            const auto header = probe_picture(changed);
            ++(header ? read : refused);
            if (header) {
                EXPECT_GE(header->width, 1);
                EXPECT_GE(header->height, 1);
            }
        }
    }
    EXPECT_GT(refused, 100);
    EXPECT_GT(read, 100);
}

Image gradient(int width, int height) {
    Image image(width, height);
    for (std::size_t i = 0; i < image.bgr.size(); ++i)
        image.bgr[i] =
            static_cast<std::uint8_t>(i / 3 % static_cast<std::size_t>(width) * 2 + i % 3 * 20);
    return image;
}

TEST_F(Codec, PngComesBackExactlyAndPrivately) {
    const Image image = gradient(37, 23);
    const std::string path = folder_ / "out.PNG";
    for (int i = 0; i < 2; ++i) { // the second replaces the first
        const auto written = write_image(path, image);
        ASSERT_TRUE(written.ok()) << written.error().message;
        EXPECT_EQ(read_image(path)->bgr, image.bgr);
        struct stat info {};
        ASSERT_EQ(::stat(path.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, 0600U);
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1); // no temporary is left
}

TEST_F(Codec, JpegComesBackNearly) {
    const Image image = gradient(64, 48);
    ASSERT_TRUE(write_image(folder_ / "out.jpeg", image).ok());
    EXPECT_LT(mean_difference(*read_image(folder_ / "out.jpeg"), image), 3);

    const auto fine = encode_jpeg(image, 100), coarse = encode_jpeg(image, 5);
    ASSERT_TRUE(fine.ok() && coarse.ok());
    EXPECT_GT(fine->size(), coarse->size());
    EXPECT_LT(mean_difference(*read_image(write("fine.jpg", *fine)), image), 3);
    for (const int quality : {-1, 101})
        EXPECT_EQ(encode_jpeg(image, quality).error().code, Errc::InvalidArgument);
    EXPECT_EQ(encode_jpeg(Image{}, 90).error().code, Errc::InvalidArgument);
}

TEST_F(Codec, WritingSaysWhyItCannot) {
    const Image image = gradient(8, 8);
    for (const char *name : {"x.gif", "x", "jpg", ".d/png", "x.png/"})
        EXPECT_EQ(write_image(folder_ / name, image).error().code, Errc::InvalidArgument)
            << name;
    EXPECT_EQ(write_image(folder_ / "x.png", Image{}).error().code, Errc::InvalidArgument);
    EXPECT_EQ(write_image(folder_ / "none" / "x.png", image).error().code, Errc::NotFound);
    EXPECT_EQ(write_image("/proc/x.png", image).ok(), false);
    EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Codec, AFailedWriteLeavesNothing) {
    const Image image = gradient(400, 400);
    const std::string path = folder_ / "x.png";
    ASSERT_TRUE(write_image(path, gradient(4, 4)).ok());
    struct rlimit old {};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small { 100, old.rlim_max };
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto written = write_image(path, image);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, Errc::Io);
    EXPECT_EQ(read_image(path)->width, 4); // the old one is still whole
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

} // namespace
} // namespace sphere
