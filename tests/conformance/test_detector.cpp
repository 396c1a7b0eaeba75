// SPDX-License-Identifier: MIT
// What every Detector must do, on photographs whose faces are known.
#include "core/face/detector.h"

#include "core/image/codec.h"
#include "tests/support/test_pictures.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

namespace sphere {
namespace {

using testing_support::data_folder;
using testing_support::Frame;
using testing_support::kAllFormats;

struct DetectorCase {
    const char *model;
    bool fake;          ///< finds a face in the middle of anything
    bool several;       ///< gives more than one face a picture
    bool free_size;     ///< other network sizes than its own
    double least_share; ///< of the labelled faces that it finds
    std::size_t step;   ///< each so many-eth labelled picture (cascades take a second each)
};

/// A picture of the labelled photographs and where its faces' noses are.
struct Labelled {
    std::string file;
    std::vector<Point2f> noses;
};

std::vector<Labelled> labelled_pictures() {
    std::vector<Labelled> pictures;
    std::ifstream csv(data_folder() / "data/photos/compreface/ground_truth.csv");
    std::string line;
    std::getline(csv, line); // file,faces,person,noses_x_y
    while (std::getline(csv, line)) {
        std::istringstream fields(line);
        std::string faces, person, noses;
        Labelled picture;
        std::getline(fields, picture.file, ',');
        std::getline(fields, faces, ',');
        std::getline(fields, person, ',');
        std::getline(fields, noses, ',');
        std::istringstream points(noses);
        Point2f nose;
        char colon = 0;
        while (points >> nose.x >> colon >> nose.y)
            picture.noses.push_back(nose);
        pictures.push_back(picture);
    }
    return pictures;
}

bool inside(const Box &box, Point2f p) {
    return p.x >= box.x && p.x <= box.x + box.w && p.y >= box.y && p.y <= box.y + box.h;
}

class DetectorConformance : public ::testing::TestWithParam<DetectorCase> {
  protected:
    void SetUp() override {
        const ModelStore store = ModelStore::from_environment();
        const auto descriptor = store.find(GetParam().model);
        ASSERT_TRUE(descriptor.ok()) << descriptor.error().message;
        if (descriptor->framework != "fake" && testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
        if (!store.installed(*descriptor))
            GTEST_SKIP() << GetParam().model << " is not installed (spherectl models fetch "
                         << GetParam().model << ")";
        descriptor_ = *descriptor;
        auto detector = make_detector(store, GetParam().model, "", {});
        ASSERT_TRUE(detector.ok()) << detector.error().message;
        detector_ = *detector;
    }

    std::vector<Face> detect(const ImageView &view, const DetectOptions &options = {}) {
        auto faces = detector_->detect(view, options);
        EXPECT_TRUE(faces.ok()) << (faces.ok() ? "" : faces.error().message);
        return faces.ok() ? std::move(*faces) : std::vector<Face>();
    }

    /// A photograph of one man, or of eight people; empty where the data is absent.
    static Image photo(const char *path) {
        auto image = read_image((data_folder() / "data/photos" / path).string());
        return image.ok() ? std::move(*image) : Image();
    }
    static Image one_man() { return photo("face_recognition/obama_small.jpg"); }
    static Image group() { return photo("compreface/016_8.jpg"); }

    ModelDescriptor descriptor_;
    std::shared_ptr<Detector> detector_;
};

#define SKIP_WITHOUT(image)                                                                    \
    if ((image).width == 0)                                                                    \
    GTEST_SKIP() << "no photographs below " << data_folder() << " (set SPHERE_TEST_DATA)"

TEST_P(DetectorConformance, NothingInNothing) {
    EXPECT_TRUE(detect(ImageView{}).empty());
    for (const auto &[w, h] : {std::pair{1, 1}, {7, 7}, {4000, 3}, {3, 4000}}) {
        const Image image(w, h);
        EXPECT_TRUE(detect(image.view()).empty()) << w << "x" << h;
    }
}

TEST_P(DetectorConformance, NothingInAFlatOrNoisyPicture) {
    if (GetParam().fake) { // it finds one in the middle of anything
        const std::vector<Face> faces = detect(Image(200, 100).view());
        ASSERT_EQ(faces.size(), 1u);
        EXPECT_EQ(faces[0].box, (Box{75, 25, 50, 50}));
        return;
    }
    for (const int level : {0, 128, 255}) {
        Image flat(333, 222);
        std::fill(flat.bgr.begin(), flat.bgr.end(), static_cast<std::uint8_t>(level));
        EXPECT_TRUE(detect(flat.view()).empty()) << level;
    }
    Image noise(320, 240);
    std::uint32_t state = 1;
    for (std::uint8_t &byte : noise.bgr)
        byte = static_cast<std::uint8_t>((state = state * 1664525U + 1013904223U) >> 24);
    EXPECT_TRUE(detect(noise.view()).empty());
}

TEST_P(DetectorConformance, FindsTheLabelledFaces) {
    if (GetParam().fake)
        return; // it looks at no pixel
    const std::vector<Labelled> pictures = labelled_pictures();
    if (pictures.empty())
        GTEST_SKIP() << "no labels below " << data_folder() << " (set SPHERE_TEST_DATA)";
    std::size_t labelled = 0, hit = 0, extra = 0;
    for (std::size_t i = 0; i < pictures.size(); i += GetParam().step) {
        const Labelled &picture = pictures[i];
        const Image image = photo(("compreface/" + picture.file).c_str());
        ASSERT_GT(image.width, 0) << picture.file;
        const std::vector<Face> faces = detect(image.view());
        std::size_t matched = 0;
        for (const Point2f nose : picture.noses)
            matched += std::any_of(faces.begin(), faces.end(),
                                   [nose](const Face &f) { return inside(f.box, nose); });
        const std::size_t wanted = GetParam().several
                                       ? picture.noses.size()
                                       : std::min<std::size_t>(1, picture.noses.size());
        labelled += wanted;
        hit += std::min(matched, wanted);
        extra += faces.size() - std::min(matched, faces.size());
    }
    EXPECT_GE(static_cast<double>(hit), GetParam().least_share * static_cast<double>(labelled))
        << hit << " of " << labelled;
    EXPECT_LE(extra, labelled / 20 + 1);
}

TEST_P(DetectorConformance, ResultsAreInOrderAndSound) {
    const Image image = group();
    SKIP_WITHOUT(image);
    const std::vector<Face> faces = detect(image.view());
    ASSERT_FALSE(faces.empty());
    for (std::size_t i = 0; i < faces.size(); ++i) {
        const Face &face = faces[i];
        EXPECT_GE(face.score, 0);
        EXPECT_LE(face.score, 1);
        if (i > 0) {
            EXPECT_LE(face.score, faces[i - 1].score);
        }
        EXPECT_GT(face.box.w, 0);
        EXPECT_GT(face.box.h, 0);
        EXPECT_TRUE(std::isfinite(face.box.x) && std::isfinite(face.box.y));
        for (std::size_t k = 0; k < i; ++k)
            EXPECT_LE(intersection_over_union(face.box, faces[k].box), 0.5);
        EXPECT_FALSE(face.embedding || face.crop || face.track_id || face.match);
        if (!face.landmarks)
            continue;
        const Landmarks5 &p = *face.landmarks;
        EXPECT_LT(p[0].x, p[1].x);
        EXPECT_LT(p[3].x, p[4].x);
        EXPECT_LT(std::max(p[0].y, p[1].y), std::min(p[3].y, p[4].y)); // people sit upright
        const Box grown{face.box.x - face.box.w / 4, face.box.y - face.box.h / 4,
                        face.box.w * 1.5F, face.box.h * 1.5F};
        for (const Point2f point : p)
            EXPECT_TRUE(inside(grown, point));
    }
}

TEST_P(DetectorConformance, EveryMemoryLayoutGivesTheSameFace) {
    const Image image = one_man();
    SKIP_WITHOUT(image);
    const std::vector<Face> wanted = detect(image.view());
    ASSERT_EQ(wanted.size(), 1u);
    for (const PixelFormat format : kAllFormats) {
        const Frame frame(image, format);
        const std::vector<Face> faces = detect(frame.view());
        ASSERT_EQ(faces.size(), 1u) << static_cast<int>(format);
        const bool exact = format >= PixelFormat::BGR && format != PixelFormat::GRAY8;
        const double overlap = intersection_over_union(faces[0].box, wanted[0].box);
        if (exact) {
            EXPECT_EQ(faces[0].box, wanted[0].box) << static_cast<int>(format);
            EXPECT_EQ(faces[0].score, wanted[0].score);
        } else {
            EXPECT_GT(overlap, format == PixelFormat::GRAY8 ? 0.8 : 0.9)
                << static_cast<int>(format);
        }
    }
}

TEST_P(DetectorConformance, FacesKeepTheirPlaceWhenThePictureGrows) {
    const Image small = one_man();
    SKIP_WITHOUT(small);
    const auto large = resize_to_bgr(small.view(), {0, 0, small.width, small.height},
                                     2 * small.width, 2 * small.height);
    ASSERT_TRUE(large.ok());
    const std::vector<Face> a = detect(small.view()), b = detect(large->view());
    ASSERT_EQ(a.size(), 1u);
    ASSERT_GE(b.size(), 1u);
    const Box doubled{2 * a[0].box.x, 2 * a[0].box.y, 2 * a[0].box.w, 2 * a[0].box.h};
    EXPECT_GT(intersection_over_union(doubled, b[0].box), 0.75);
}

TEST_P(DetectorConformance, FramesOfOtherSizesLeaveNoTrace) {
    const Image man = one_man(), people = group();
    SKIP_WITHOUT(man);
    const std::vector<Face> first = detect(man.view());
    detect(people.view());
    const std::vector<Face> again = detect(man.view());
    ASSERT_EQ(first.size(), again.size());
    for (std::size_t i = 0; i < first.size(); ++i)
        EXPECT_EQ(first[i].box, again[i].box);
}

TEST_P(DetectorConformance, AHigherThresholdOnlyTakesFacesAway) {
    const Image image = group();
    SKIP_WITHOUT(image);
    DetectOptions options;
    std::size_t before = std::numeric_limits<std::size_t>::max();
    for (const float threshold : {0.3F, 0.5F, 0.7F, 0.9F, 0.99F}) {
        options.threshold = threshold;
        const std::vector<Face> faces = detect(image.view(), options);
        EXPECT_LE(faces.size(), before) << threshold;
        for (const Face &face : faces)
            EXPECT_GE(face.score, threshold);
        before = faces.size();
    }
}

TEST_P(DetectorConformance, AnyThresholdIsServedInTime) {
    const Image image = one_man();
    SKIP_WITHOUT(image);
    DetectOptions options;
    options.threshold = 0; // every cell is a candidate, and none overlaps too much
    options.nms_threshold = 1;
    options.max_faces = 20;
    const std::vector<Face> faces = detect(image.view(), options);
    EXPECT_GE(faces.size(), 1u);
    EXPECT_LE(faces.size(), 20u);
}

TEST_P(DetectorConformance, MaxFacesTakesTheFirst) {
    const Image image = photo("compreface/000_5.jpg"); // of a size that all find
    SKIP_WITHOUT(image);
    const std::vector<Face> all = detect(image.view());
    ASSERT_FALSE(all.empty());
    if (GetParam().several) {
        EXPECT_GE(all.size(), 2u);
    }
    DetectOptions options;
    for (int most = 1; most <= static_cast<int>(all.size()); ++most) {
        options.max_faces = most;
        const std::vector<Face> faces = detect(image.view(), options);
        ASSERT_EQ(faces.size(), static_cast<std::size_t>(most));
        for (std::size_t i = 0; i < faces.size(); ++i)
            EXPECT_EQ(faces[i].box, all[i].box);
    }
}

TEST_P(DetectorConformance, SmallFacesAreLeftOut) {
    const Image image = group();
    SKIP_WITHOUT(image);
    const std::vector<Face> all = detect(image.view());
    ASSERT_FALSE(all.empty());
    DetectOptions options;
    options.min_face_size_px = std::min(all[0].box.w, all[0].box.h);
    const std::vector<Face> some = detect(image.view(), options);
    EXPECT_FALSE(some.empty());
    for (const Face &face : some)
        EXPECT_GE(std::min(face.box.w, face.box.h), options.min_face_size_px);
    options.min_face_size_px = 10000;
    EXPECT_TRUE(detect(image.view(), options).empty());
}

TEST_P(DetectorConformance, OptionsOutOfRangeAreErrors) {
    const Image image(64, 64);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<DetectOptions> wrong(7);
    wrong[0].threshold = 1.5F;
    wrong[1].threshold = nan;
    wrong[2].nms_threshold = nan;
    wrong[3].max_faces = -1;
    wrong[4].min_face_size_px = -1;
    wrong[5].input_width_px = 100; // no multiple of 32, and no height
    wrong[6].input_width_px = wrong[6].input_height_px = 1 << 20;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        const auto faces = detector_->detect(image.view(), wrong[i]);
        ASSERT_FALSE(faces.ok()) << i;
        EXPECT_EQ(faces.error().code, Errc::InvalidArgument) << i;
    }
}

TEST_P(DetectorConformance, ANetworkSizeIsTakenOrRefused) {
    const Image image = one_man();
    SKIP_WITHOUT(image);
    DetectOptions options;
    options.input_width_px = 416;
    options.input_height_px = 256;
    if (GetParam().free_size) {
        const std::vector<Face> own = detect(image.view());
        const std::vector<Face> faces = detect(image.view(), options);
        ASSERT_EQ(own.size(), 1u);
        ASSERT_EQ(faces.size(), 1u);
        EXPECT_GT(intersection_over_union(own[0].box, faces[0].box), 0.75);
        return;
    }
    const auto faces = detector_->detect(image.view(), options);
    ASSERT_FALSE(faces.ok());
    EXPECT_EQ(faces.error().code, Errc::InvalidArgument);
}

TEST_P(DetectorConformance, ATrimmedInputFindsTheSameFaces) {
    if (!GetParam().free_size)
        return; // tests/core/test_detector_input.cpp sees that nothing changes
    const Image whole = group();
    SKIP_WITHOUT(whole);
    DetectOptions trimmed;
    trimmed.trim_input = true;
    // As it is, and wide and narrow, as video is, with people cut by the borders.
    ImageView wide = whole.view(), narrow = whole.view();
    wide.height = wide.width * 9 / 16;
    narrow.width = narrow.height * 9 / 16;
    for (const ImageView &view : {whole.view(), wide, narrow}) {
        const std::vector<Face> own = detect(view), faces = detect(view, trimmed);
        ASSERT_EQ(faces.size(), own.size()) << view.width << "x" << view.height;
        for (const Face &face : faces) {
            const bool known = std::any_of(own.begin(), own.end(), [&face](const Face &f) {
                return intersection_over_union(f.box, face.box) > 0.9 &&
                       std::abs(f.score - face.score) < 0.05F;
            });
            EXPECT_TRUE(known) << view.width << "x" << view.height << ": " << face.box.x << ", "
                               << face.box.y << ", score " << face.score;
        }
    }
}

TEST_P(DetectorConformance, ThreadsShareIt) {
    const Image man = one_man(), people = group();
    SKIP_WITHOUT(man);
    const std::vector<Face> of_man = detect(man.view()), of_people = detect(people.view());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            const std::vector<Face> &wanted = i % 2 == 0 ? of_man : of_people;
            for (int k = 0; k < 3; ++k) {
                const std::vector<Face> got = detect(i % 2 == 0 ? man.view() : people.view());
                ASSERT_EQ(got.size(), wanted.size());
                for (std::size_t f = 0; f < got.size(); ++f)
                    EXPECT_EQ(got[f].box, wanted[f].box);
            }
        });
    for (std::thread &thread : threads)
        thread.join();
}

TEST_P(DetectorConformance, WithoutALandmarkModelThereAreBoxes) {
    const Image image = one_man();
    SKIP_WITHOUT(image);
    auto plain = make_detector(ModelStore::from_environment(), GetParam().model, "none", {});
    ASSERT_TRUE(plain.ok()) << plain.error().message;
    const std::vector<Face> with = detect(image.view());
    const auto without = (*plain)->detect(image.view(), {});
    ASSERT_TRUE(without.ok());
    ASSERT_EQ(without->size(), with.size());
    ASSERT_EQ(with.size(), 1u);
    EXPECT_EQ((*without)[0].box, with[0].box);
    if (!descriptor_.landmark_model.empty()) {
        EXPECT_FALSE((*without)[0].landmarks);
        ASSERT_TRUE(with[0].landmarks);
        EXPECT_EQ(with[0].dense_landmarks.size(), 68u);
    }
}

TEST_P(DetectorConformance, ANamedLandmarkModelTakesThePlaceOfOwnLandmarks) {
    const Image image = one_man();
    SKIP_WITHOUT(image);
    if (testing_support::fake_engine_only())
        GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
    const ModelStore store = ModelStore::from_environment();
    const auto landmarks = store.find("fr_landmark");
    if (!landmarks || !store.installed(*landmarks))
        GTEST_SKIP() << "fr_landmark is not installed";
    auto named = make_detector(store, GetParam().model, "fr_landmark", {});
    ASSERT_TRUE(named.ok()) << named.error().message;
    const std::vector<Face> own = detect(image.view());
    const auto faces = (*named)->detect(image.view(), {});
    ASSERT_TRUE(faces.ok());
    ASSERT_EQ(faces->size(), own.size());
    ASSERT_EQ(own.size(), 1u);
    const Face &face = (*faces)[0];
    EXPECT_EQ(face.box, own[0].box);
    EXPECT_EQ(face.score, own[0].score);
    ASSERT_EQ(face.dense_landmarks.size(), 68u);
    EXPECT_EQ(face.landmarks, landmarks_from_68(face.dense_landmarks));
    if (!own[0].landmarks || descriptor_.framework == "fake") // whose faces are where it likes
        return;
    for (std::size_t i = 0; i < face.landmarks->size(); ++i) {
        EXPECT_NEAR((*face.landmarks)[i].x, (*own[0].landmarks)[i].x, 0.15 * face.box.w);
        EXPECT_NEAR((*face.landmarks)[i].y, (*own[0].landmarks)[i].y, 0.15 * face.box.w);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Backends, DetectorConformance,
    ::testing::Values(
        DetectorCase{"yunet-320", false, true, true, 1.0, 1},
        DetectorCase{"yunet-640", false, true, true, 1.0, 1},
        DetectorCase{"ultralight", false, true, false, 0.95, 1},
        // scrfd-2.5g is the same decoder: tests/parity/test_more_detectors.py has it.
        DetectorCase{"scrfd-500m", false, true, false, 1.0, 1},
        DetectorCase{"retinaface", false, true, false, 1.0, 1},
        DetectorCase{"retinaface-dyn", false, true, true, 1.0, 1},
        // Squeezed to 300x300: faces of 30 px in a picture of 800 are 11 px there.
        DetectorCase{"opencv-ssd", false, true, false, 0.6, 1},
        DetectorCase{"mtcnn", false, true, false, 1.0, 1},
        // Faces from 40 px.
        DetectorCase{"dlib-hog", false, true, false, 0.6, 2},
        DetectorCase{"haar", false, true, false, 0.6, 4},
        DetectorCase{"haar-deepface", false, false, false, 0.9, 4},
        DetectorCase{"fake-detect", true, false, false, 1.0, 1}),
    [](const auto &info) {
        std::string name = info.param.model;
        std::replace_if(
            name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
        return name;
    });

TEST(Letterbox, KeepsTheShapeAndFits) {
    struct Row {
        int w, h, net_w, net_h, out_w, out_h;
    };
    // Worked out by hand: scale = min(net / frame) on each axis, sizes rounded, halves to even.
    for (const Row &row :
         {Row{1920, 1080, 640, 640, 640, 360}, Row{250, 250, 320, 320, 320, 320},
          Row{1080, 1920, 320, 320, 180, 320}, Row{640, 480, 320, 240, 320, 240},
          Row{1280, 5, 640, 640, 640, 2}, Row{1280, 3, 640, 640, 640, 2},
          Row{4000, 3, 320, 320, 320, 1}, Row{1, 1, 32, 64, 32, 32}}) {
        const Letterbox box = fit_letterbox(row.w, row.h, row.net_w, row.net_h);
        EXPECT_EQ(box.width, row.out_w) << row.w << "x" << row.h;
        EXPECT_EQ(box.height, row.out_h) << row.w << "x" << row.h;
        EXPECT_FLOAT_EQ(box.scale, std::min(static_cast<float>(row.net_w) / row.w,
                                            static_cast<float>(row.net_h) / row.h));
    }
}

TEST(Detectors, AModelOfAnotherTaskIsRefused) {
    const auto detector = make_detector(ModelStore::from_environment(), "fake-embed", "", {});
    ASSERT_FALSE(detector.ok());
    EXPECT_NE(detector.error().message.find("fake-embed"), std::string::npos);
}

TEST(Detectors, AnUnknownLandmarkModelIsNamed) {
    const auto detector =
        make_detector(ModelStore::from_environment(), "fake-detect", "no-such-model", {});
    ASSERT_FALSE(detector.ok());
    EXPECT_EQ(detector.error().code, Errc::NotFound);
    EXPECT_NE(detector.error().message.find("no-such-model"), std::string::npos);
}

} // namespace
} // namespace sphere
