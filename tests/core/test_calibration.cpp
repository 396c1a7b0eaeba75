// SPDX-License-Identifier: MIT
// Calibrations as files, what precision=auto takes, and faces in int8 against faces in fp32.
#include "core/engine/calibration.h"
#include "core/face/detector_calibration.h"
#include "core/face/face_agreement.h"

#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <functional>

namespace sphere {
namespace {

Face made_face(float x, float y, float size, float score = 0.9F) {
    Face face;
    face.score = score;
    face.box = {x, y, size, size};
    face.landmarks = Landmarks5{{{x + 0.3F * size, y + 0.4F * size},
                                 {x + 0.7F * size, y + 0.4F * size},
                                 {x + 0.5F * size, y + 0.6F * size},
                                 {x + 0.35F * size, y + 0.8F * size},
                                 {x + 0.65F * size, y + 0.8F * size}}};
    return face;
}

Face moved(Face face, float by) {
    face.box.x += by;
    for (Point2f &point : *face.landmarks)
        point.x += by;
    return face;
}

FaceAgreement good_agreement() {
    return {.fp32 = 200,
            .int8 = 201,
            .agreed = 200,
            .iou = 0.97,
            .landmarks_mean = 0.015,
            .landmarks_p95 = 0.04,
            .score_mean = 0.002};
}

TEST(FaceComparison, SameFacesAgreeWholly) {
    FaceComparison comparison;
    const std::vector<Face> faces = {made_face(0, 0, 100), made_face(300, 0, 50)};
    comparison.add(faces, faces);
    comparison.add({}, {});
    const FaceAgreement result = comparison.result();
    EXPECT_EQ(result.fp32, 2);
    EXPECT_EQ(result.int8, 2);
    EXPECT_EQ(result.agreed, 2);
    EXPECT_DOUBLE_EQ(result.share(), 1);
    EXPECT_DOUBLE_EQ(result.iou, 1);
    EXPECT_DOUBLE_EQ(result.landmarks_mean, 0);
    EXPECT_DOUBLE_EQ(result.score_mean, 0);
}

TEST(FaceComparison, MeasuresWhatMoved) {
    FaceComparison comparison;
    Face other = moved(made_face(0, 0, 100), 10); // eyes are 40 px apart
    other.score = 0.8F;
    comparison.add(std::vector{made_face(0, 0, 100)}, std::vector{other});
    const FaceAgreement result = comparison.result();
    EXPECT_EQ(result.agreed, 1);
    EXPECT_NEAR(result.iou, 90.0 / 110, 1e-5);
    EXPECT_NEAR(result.landmarks_mean, 0.25, 1e-5);
    EXPECT_NEAR(result.landmarks_p95, 0.25, 1e-5);
    EXPECT_NEAR(result.score_mean, 0.1, 1e-5);
}

TEST(FaceComparison, LostAndFoundFacesLowerTheShare) {
    FaceComparison comparison;
    comparison.add(std::vector{made_face(0, 0, 100), made_face(300, 0, 100)},
                   std::vector{made_face(0, 0, 100)});
    comparison.add(std::vector{made_face(0, 0, 100)},
                   std::vector{made_face(70, 0, 100)}); // too far to be the same
    const FaceAgreement result = comparison.result();
    EXPECT_EQ(result.fp32, 3);
    EXPECT_EQ(result.int8, 2);
    EXPECT_EQ(result.agreed, 1);
    EXPECT_DOUBLE_EQ(result.share(), 1.0 / 3);
    EXPECT_DOUBLE_EQ(FaceAgreement().share(), 0);
}

TEST(FaceComparison, PairsTheNearestFaceFirst) {
    FaceComparison comparison;
    comparison.add(std::vector{made_face(0, 0, 100), made_face(20, 0, 100)},
                   std::vector{made_face(20, 0, 100), made_face(2, 0, 100)});
    const FaceAgreement result = comparison.result();
    EXPECT_EQ(result.agreed, 2);
    EXPECT_NEAR(result.iou, (1 + 98.0 / 102) / 2, 1e-5);
}

TEST(FaceComparison, TinyFacesAndProfilesAreMeasuredBySomethingElse) {
    FaceComparison tiny(16);
    tiny.add(std::vector{made_face(0, 0, 20)}, std::vector{moved(made_face(0, 0, 20), 1.6F)});
    EXPECT_NEAR(tiny.result().landmarks_mean, 0.1, 1e-5); // eyes are 8 px apart
    Face profile = made_face(0, 0, 100);
    (*profile.landmarks)[1] = (*profile.landmarks)[0];
    FaceComparison turned;
    turned.add(std::vector{profile}, std::vector{moved(profile, 5)});
    EXPECT_NEAR(turned.result().landmarks_mean, 0.2, 1e-5);
}

TEST(FaceComparison, TheTailIsSeen) {
    FaceComparison comparison;
    for (int i = 0; i < 100; ++i)
        comparison.add(std::vector{made_face(0, 0, 100)},
                       std::vector{moved(made_face(0, 0, 100), i < 90 ? 0 : 20)});
    EXPECT_NEAR(comparison.result().landmarks_mean, 0.05, 1e-5);
    EXPECT_NEAR(comparison.result().landmarks_p95, 0.5, 1e-5);
}

TEST(Int8IsAccurate, DetectorsAreJudgedByTheirFaces) {
    Int8Calibration calibration;
    calibration.cosine = 1;
    EXPECT_TRUE(int8_is_accurate(calibration, ModelTask::Embed));
    EXPECT_FALSE(int8_is_accurate(calibration, ModelTask::Detect)) << "nobody looked at faces";
    calibration.cosine = 0;
    calibration.faces = good_agreement();
    EXPECT_TRUE(int8_is_accurate(calibration, ModelTask::Detect));
    EXPECT_FALSE(int8_is_accurate(calibration, ModelTask::Embed));
    const std::function<void(FaceAgreement &)> spoil[] = {
        [](FaceAgreement &faces) { faces.agreed = 196; },
        [](FaceAgreement &faces) { faces.int8 = 210; },
        [](FaceAgreement &faces) { faces.iou = 0.94; },
        [](FaceAgreement &faces) { faces.landmarks_mean = 0.021; },
        [](FaceAgreement &faces) { faces = FaceAgreement(); },
    };
    for (const auto &by : spoil) {
        calibration.faces = good_agreement();
        by(*calibration.faces);
        EXPECT_FALSE(int8_is_accurate(calibration, ModelTask::Detect));
    }
}

class CalibrationFile : public testing::Test {
  protected:
    testing_support::TemporaryDirectory directory_;
    ResolvedModel model_ = testing_support::tiny_model(directory_, "onnx");

    Int8Calibration made() const {
        Int8Calibration calibration;
        calibration.model = model_.descriptor.name;
        calibration.sha256 = model_.sha256;
        calibration.pictures = 40;
        calibration.weight_bits = 7;
        calibration.int8_products = 0.75;
        calibration.ranges["211"] = {-0.5F, 4};
        calibration.fp32_nodes = {"Conv_9"};
        return calibration;
    }
    static std::string with_faces(const std::string &faces) {
        return R"({"schema":"sphere.int8/1","model":"m","sha256":"s","faces":)" + faces +
               R"(,"fp32":[],"ranges":{"a":[0,1]}})";
    }
};

TEST_F(CalibrationFile, OfADetectorComesBackAsItWas) {
    Int8Calibration calibration = made();
    calibration.faces = good_agreement();
    ASSERT_TRUE(save_calibration(model_, calibration).ok());
    const auto loaded = load_calibration(model_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    ASSERT_TRUE(loaded->faces.has_value());
    EXPECT_EQ(loaded->faces->fp32, 200);
    EXPECT_EQ(loaded->faces->int8, 201);
    EXPECT_EQ(loaded->faces->agreed, 200);
    EXPECT_EQ(loaded->faces->iou, 0.97);
    EXPECT_EQ(loaded->faces->landmarks_mean, 0.015);
    EXPECT_EQ(loaded->faces->landmarks_p95, 0.04);
    EXPECT_EQ(loaded->faces->score_mean, 0.002);
    EXPECT_EQ(loaded->int8_products, 0.75);
    EXPECT_EQ(loaded->ranges.at("211").low, -0.5F);
    EXPECT_TRUE(loaded->fp32_nodes.contains("Conv_9"));
    EXPECT_TRUE(int8_is_accurate(*loaded, ModelTask::Detect));
}

TEST_F(CalibrationFile, OlderOnesGoOnLoading) {
    const auto loaded = parse_calibration(
        R"({"schema":"sphere.int8/1","model":"m","sha256":"s","pictures":128,"cosine":0.998,)"
        R"("fp32":["a"],"ranges":{"x":[-1.5,2]}})",
        "old.json");
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(loaded->weight_bits, 8);
    EXPECT_EQ(loaded->cosine, 0.998);
    EXPECT_FALSE(loaded->faces.has_value());
    EXPECT_TRUE(int8_is_accurate(*loaded, ModelTask::Embed));
    EXPECT_FALSE(int8_is_accurate(*loaded, ModelTask::Detect));
}

TEST_F(CalibrationFile, WhatCannotBeIsRefused) {
    const std::string rest =
        R"("iou":0.9,"landmarks_mean":0,"landmarks_p95":0,"score_mean":0})";
    ASSERT_TRUE(
        parse_calibration(with_faces(R"({"fp32":5,"int8":5,"agreed":5,)" + rest), "f").ok());
    for (const std::string &faces :
         {R"({"fp32":5,"int8":4,"agreed":5,)" + rest,
          R"({"fp32":-1,"int8":4,"agreed":0,)" + rest,
          R"({"fp32":5000000000,"int8":4,"agreed":0,)" + rest,
          R"({"fp32":"five","int8":4,"agreed":0,)" + rest, std::string("7"), std::string("{}"),
          std::string(R"({"fp32":1,"int8":1,"agreed":1,"iou":1.5,"landmarks_mean":0,)"
                      R"("landmarks_p95":0,"score_mean":0})"),
          std::string(R"({"fp32":1,"int8":1,"agreed":1,"iou":1,"landmarks_mean":-0.1,)"
                      R"("landmarks_p95":0,"score_mean":0})")}) {
        const auto loaded = parse_calibration(with_faces(faces), "NAME.int8.json");
        ASSERT_FALSE(loaded.ok()) << faces;
        EXPECT_EQ(loaded.error().code, Errc::Corrupt);
        EXPECT_NE(loaded.error().message.find("NAME.int8.json"), std::string::npos);
        EXPECT_NE(loaded.error().message.find("quantize"), std::string::npos);
    }
}

TEST(DetectorCalibrator, RefusesWhatIsNotOneNetwork) {
    ResolvedModel cascade;
    cascade.descriptor.name = "haar";
    cascade.descriptor.task = ModelTask::Detect;
    cascade.descriptor.decoder = "haar";
    cascade.descriptor.framework = "opencv-cascade";
    const auto made = DetectorCalibrator::make(cascade);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, Errc::Unsupported);
}

} // namespace
} // namespace sphere
