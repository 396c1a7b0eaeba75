// SPDX-License-Identifier: MIT
// Regions of interest and tiles.
#include "core/face/areas.h"

#include "tests/core/pixel_reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace sphere {
namespace {

Regions regions_of(const std::string &text) {
    auto regions = Regions::parse(text);
    EXPECT_TRUE(regions.ok()) << regions.error().message;
    return regions ? *regions : Regions();
}

TEST(Regions, NothingIsTheWholeFrame) {
    for (const char *text : {"", "  ", ";", " ; ; "}) {
        const Regions regions = regions_of(text);
        EXPECT_TRUE(regions.whole_frame());
        EXPECT_EQ(regions.bounds(640, 480), (RectI{0, 0, 640, 480}));
        EXPECT_TRUE(regions.contains({-5, 1000}, 640, 480));
    }
}

TEST(Regions, RectanglesInPixelsAndShares) {
    const Regions regions = regions_of("10,20,30,40; 50%,50%,50%,25%");
    EXPECT_EQ(regions.bounds(400, 200), (RectI{10, 20, 390, 130}));
    EXPECT_TRUE(regions.contains({10, 20}, 400, 200));
    EXPECT_TRUE(regions.contains({40, 60}, 400, 200));
    EXPECT_FALSE(regions.contains({41, 60}, 400, 200));
    EXPECT_TRUE(regions.contains({300, 120}, 400, 200));
    EXPECT_FALSE(regions.contains({300, 151}, 400, 200));
    // A share is of the frame that it is asked of.
    EXPECT_FALSE(regions.contains({300, 120}, 4000, 2000));
}

TEST(Regions, PolygonsByTheEvenOddRule) {
    const Regions triangle = regions_of("0,0 100,0 0,100");
    EXPECT_TRUE(triangle.contains({20, 20}, 200, 200));
    EXPECT_TRUE(triangle.contains({50, 50}, 200, 200)); // on its border
    EXPECT_FALSE(triangle.contains({51, 51}, 200, 200));
    EXPECT_EQ(triangle.bounds(200, 200), (RectI{0, 0, 100, 100}));
    const Regions notched = regions_of("0,0 100,0 100,100 50,50 0,100");
    EXPECT_TRUE(notched.contains({90, 80}, 200, 200));
    EXPECT_FALSE(notched.contains({50, 80}, 200, 200));
}

TEST(Regions, OutsideTheFrameIsNowhere) {
    const Regions regions = regions_of("700,10,50,50");
    EXPECT_EQ(regions.bounds(640, 480).w, 0);
}

TEST(Regions, BadTextsAreRefusedByName) {
    for (const char *text : {"1,2,3", "1,2,3,4,5", "1,2,0,4", "1,2,3,-4", "a,b,c,d", "1,2 3,4",
                             "1,2 3,4 5", "1e9,0,1,1", "nan,0,1,1", "1,2,3,4 5,6", "10,,3,4"}) {
        const auto regions = Regions::parse(text);
        ASSERT_FALSE(regions.ok()) << text;
        EXPECT_EQ(regions.error().code, Errc::InvalidArgument);
        EXPECT_NE(regions.error().message.find("region '"), std::string::npos) << text;
    }
    std::string many;
    for (int i = 0; i < 70; ++i)
        many += "1,1,1,1;";
    EXPECT_FALSE(Regions::parse(many).ok());
    std::string round;
    for (int i = 0; i < 70; ++i)
        round += std::to_string(i) + ",1 ";
    EXPECT_FALSE(Regions::parse(round).ok());
}

TEST(Tiles, SizesAreParsed) {
    EXPECT_EQ(*parse_tile("none"), (TileSize{0, 0}));
    EXPECT_EQ(*parse_tile("640x480"), (TileSize{640, 480}));
    for (const char *text :
         {"640", "x", "640x", "63x64", "9000x64", "-1x64", "64x64x64", "auto"})
        EXPECT_FALSE(parse_tile(text).ok()) << text;
}

// Whatever is no larger than the overlap is whole in some tile.
TEST(Tiles, CoverTheAreaAndOverlap) {
    std::mt19937 random(3);
    const auto number = [&](int from, int to) {
        return std::uniform_int_distribution<int>(from, to)(random);
    };
    for (int round = 0; round < 400; ++round) {
        const RectI area{2 * number(0, 100), 2 * number(0, 100), number(1, 4000),
                         number(1, 3000)};
        const TileSize size{number(64, 1200), number(64, 1200)};
        const auto tiles = tiles_of(area, size);
        ASSERT_FALSE(tiles.empty());
        for (const RectI &tile : tiles) {
            ASSERT_GE(tile.x, area.x);
            ASSERT_GE(tile.y, area.y);
            ASSERT_LE(tile.x + tile.w, area.x + area.w);
            ASSERT_LE(tile.y + tile.h, area.y + area.h);
            ASSERT_EQ(tile.x % 2, 0);
            ASSERT_EQ(tile.y % 2, 0);
        }
        for (int probe = 0; probe < 20; ++probe) {
            const int w = std::min(area.w, static_cast<int>(size.width_px * kTileOverlap));
            const int h = std::min(area.h, static_cast<int>(size.height_px * kTileOverlap));
            const int x = area.x + number(0, area.w - w), y = area.y + number(0, area.h - h);
            ASSERT_TRUE(std::any_of(tiles.begin(), tiles.end(),
                                    [&](const RectI &tile) {
                                        return x >= tile.x && y >= tile.y &&
                                               x + w <= tile.x + tile.w &&
                                               y + h <= tile.y + tile.h;
                                    }))
                << w << "x" << h << " at " << x << "," << y;
        }
    }
}

class PartOfAFrame : public testing::TestWithParam<PixelFormat> {};

TEST_P(PartOfAFrame, HasItsPixels) {
    reference::Rng rng(5);
    for (int round = 0; round < 60; ++round) {
        const int width = reference::uniform(rng, 12, 90),
                  height = reference::uniform(rng, 12, 70);
        const reference::Frame frame = reference::random_frame(rng, GetParam(), width, height);
        RectI part;
        part.x = reference::uniform(rng, 0, width - 8);
        part.y = reference::uniform(rng, 0, height - 8);
        part.w = reference::uniform(rng, 5, width - part.x);
        part.h = reference::uniform(rng, 5, height - part.y);
        const RectI asked = part;
        const auto whole = to_bgr(frame.view);
        const auto cut = to_bgr(view_of_part(frame.view, part));
        ASSERT_TRUE(whole.ok() && cut.ok());
        ASSERT_LE(part.x, asked.x);
        ASSERT_EQ(part.x + part.w, asked.x + asked.w);
        ASSERT_EQ(part.y + part.h, asked.y + asked.h);
        // At the very border chroma has other neighbours.
        for (int y = 2; y < part.h - 2; ++y)
            for (int x = 2; x < part.w - 2; ++x)
                for (int c = 0; c < 3; ++c)
                    ASSERT_EQ(cut->bgr[static_cast<std::size_t>((y * part.w + x) * 3 + c)],
                              whole->bgr[static_cast<std::size_t>(
                                  ((y + part.y) * width + x + part.x) * 3 + c)]);
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, PartOfAFrame, testing::ValuesIn(kAllFormats),
                         [](const auto &info) { return format_name(info.param); });

/// Knows where the faces of a frame are; finds those that are at least a twentieth of the side
/// of the view that it is given, cut at its borders, as a network would.
class PlantedFaces final : public Detector {
  public:
    PlantedFaces(ImageView frame, std::vector<Box> boxes)
        : frame_(frame), boxes_(std::move(boxes)) {}

    Result<std::vector<Face>> detect(const ImageView &view, const DetectOptions &options,
                                     DetectTiming *) override {
        ++calls;
        const std::ptrdiff_t offset = view.planes[0].data - frame_.planes[0].data;
        const std::ptrdiff_t stride = frame_.planes[0].stride_bytes;
        const auto left = static_cast<float>(offset % stride),
                   top = static_cast<float>(offset / stride);
        std::vector<Face> faces;
        for (const Box &box : boxes_) {
            const float x0 = std::max(box.x, left), y0 = std::max(box.y, top);
            const float x1 = std::min(box.x + box.w, left + static_cast<float>(view.width));
            const float y1 = std::min(box.y + box.h, top + static_cast<float>(view.height));
            const auto longest = static_cast<float>(std::max(view.width, view.height));
            if (x1 - x0 < box.w / 3 || y1 - y0 < box.h / 3 || x1 - x0 < longest / 20)
                continue;
            Face face;
            face.box = {x0 - left, y0 - top, x1 - x0, y1 - y0};
            face.score = 0.5F + 0.4F * (x1 - x0) * (y1 - y0) / box.area();
            face.landmarks = Landmarks5{};
            face.landmarks->fill({face.box.x + 1, face.box.y + 1});
            faces.push_back(face);
        }
        EXPECT_EQ(options.max_faces, 0);
        return faces;
    }
    int calls = 0;

  private:
    ImageView frame_;
    std::vector<Box> boxes_;
};

class Areas : public testing::Test {
  protected:
    static constexpr int kWidth = 3840, kHeight = 2160;
    Areas() : pixels_(static_cast<std::size_t>(kWidth) * kHeight) {
        view_.format = PixelFormat::GRAY8;
        view_.width = kWidth;
        view_.height = kHeight;
        view_.planes[0] = {pixels_.data(), kWidth};
    }
    std::vector<std::uint8_t> pixels_;
    ImageView view_;
};

TEST_F(Areas, TilesFindSmallFacesOnceAndLargeOnesWhole) {
    std::mt19937 random(11);
    std::vector<Box> boxes{{700, 500, 900, 1100}};
    for (int row = 0; row < 6; ++row)
        for (int column = 0; column < 10; ++column)
            if (column > 4 || row > 4)
                boxes.push_back({static_cast<float>(column * 380 + random() % 300),
                                 static_cast<float>(row * 350 + random() % 280), 44, 50});
    PlantedFaces detector(view_, boxes);
    DetectOptions options;
    auto plain = detect_in_areas(detector, view_, options, Regions(), TileSize());
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(plain->size(), 1U); // the large one alone
    EXPECT_EQ(detector.calls, 1);
    auto tiled = detect_in_areas(detector, view_, options, Regions(), {640, 640});
    ASSERT_TRUE(tiled.ok()) << tiled.error().message;
    ASSERT_EQ(tiled->size(), boxes.size());
    for (const Box &box : boxes) {
        const auto found = std::find_if(tiled->begin(), tiled->end(), [&](const Face &face) {
            return intersection_over_union(face.box, box) > 0.999F;
        });
        ASSERT_NE(found, tiled->end()) << box.x << "," << box.y;
        EXPECT_FLOAT_EQ((*found->landmarks)[0].x, found->box.x + 1);
        EXPECT_FLOAT_EQ((*found->landmarks)[0].y, found->box.y + 1);
    }
    options.max_faces = 7;
    tiled = detect_in_areas(detector, view_, options, Regions(), {640, 640});
    EXPECT_EQ(tiled->size(), 7U);
}

TEST_F(Areas, ARegionIsAllThatIsLookedAt) {
    PlantedFaces detector(view_, {{100, 100, 300, 300}, {2000, 1000, 300, 300}});
    DetectOptions options;
    auto found =
        detect_in_areas(detector, view_, options, regions_of("50%,40%,50%,60%"), TileSize());
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), 1U);
    EXPECT_FLOAT_EQ(found->front().box.x, 2000);
    EXPECT_FLOAT_EQ(found->front().box.y, 1000);
    // In the rectangle around the polygon, not in the polygon.
    found = detect_in_areas(detector, view_, options, regions_of("0,0 3000,0 0,1500"), {});
    ASSERT_EQ(found->size(), 1U);
    EXPECT_FLOAT_EQ(found->front().box.x, 100);
    found = detect_in_areas(detector, view_, options, regions_of("5000,5000,10,10"), {});
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(found->empty());
}

TEST_F(Areas, TooManyTilesAreRefused) {
    PlantedFaces detector(view_, {});
    const auto found = detect_in_areas(detector, view_, {}, Regions(), {64, 64});
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, Errc::InvalidArgument);
}

} // namespace
} // namespace sphere
