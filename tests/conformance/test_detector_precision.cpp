// SPDX-License-Identifier: MIT
// Detectors in int8 find the faces that they find in fp32, in pictures that were not used for
// calibration.
#include "core/face/detector_calibration.h"
#include "core/face/face_agreement.h"
#include "core/image/codec.h"

#include "tests/support/linked_model.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_pictures.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace sphere {
namespace {

using testing_support::data_folder;
namespace fs = std::filesystem;

constexpr std::size_t kFolders = 60; ///< people of LFW whose pictures are looked at

std::vector<std::string> pictures_in(const std::string &folder) {
    std::vector<std::string> found;
    for (const auto &entry : fs::recursive_directory_iterator(folder)) {
        const std::string kind = entry.path().extension().string();
        if (kind == ".jpg" || kind == ".jpeg" || kind == ".png")
            found.push_back(entry.path().string());
    }
    std::sort(found.begin(), found.end());
    return found;
}

class DetectorPrecision : public testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
        if (!fs::exists(data_folder() / "data/lfw-dev") ||
            !fs::exists(data_folder() / "data/photos"))
            GTEST_SKIP() << "no pictures under " << data_folder();
        const auto model = testing_support::linked_model(GetParam(), directory_.path());
        if (!model)
            GTEST_SKIP() << "model " << GetParam() << " is not installed";
        model_ = *model;
    }

    Result<Int8Calibration> calibrate() const {
        auto calibrator = DetectorCalibrator::make(model_);
        if (!calibrator)
            return std::move(calibrator).error();
        std::vector<Tensor> inputs;
        const auto paths = pictures_in(data_folder() / "data/photos");
        for (std::size_t i = 0; i < paths.size(); i += 2) {
            const auto image = read_image(paths[i]);
            if (!image)
                return image.error();
            auto looked = calibrator->look(image->view());
            if (!looked)
                return std::move(looked).error();
            inputs.push_back(std::move(looked->input));
        }
        return calibrator->calibrate(inputs);
    }

    std::shared_ptr<Detector> detector(Precision precision) {
        EngineOptions options;
        options.engine = "onednn";
        options.precision = precision;
        options.threads = 1;
        auto engine = make_engine(model_, options);
        EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().message);
        if (!engine)
            return nullptr;
        engine_ = *engine;
        auto made = make_detector_on(model_, std::move(*engine));
        EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
        return made ? *made : nullptr;
    }

    ResolvedModel model_;
    std::shared_ptr<Engine> engine_;
    testing_support::TemporaryDirectory directory_;
};

// What each picture is that was measured, exactly as the detector has it.
TEST_P(DetectorPrecision, CalibrationTakesTheDetectorsOwnInput) {
    auto calibrator = DetectorCalibrator::make(model_);
    ASSERT_TRUE(calibrator.ok()) << calibrator.error().message;
    const auto image = read_image(data_folder() / "data/photos/compreface/016_8.jpg");
    ASSERT_TRUE(image.ok());
    const auto looked = calibrator->look(image->view());
    ASSERT_TRUE(looked.ok());
    const auto fp32 = detector(Precision::Fp32);
    ASSERT_TRUE(fp32);
    const auto faces = fp32->detect(image->view(), {});
    ASSERT_TRUE(faces.ok());
    EXPECT_EQ(looked->faces, static_cast<int>(faces->size()));
    EXPECT_EQ(looked->input.shape,
              (std::vector<std::int64_t>{1, 3, model_.descriptor.input.height,
                                         model_.descriptor.input.width}));
    const auto none = calibrator->look(Image(64, 64).view());
    ASSERT_TRUE(none.ok());
    EXPECT_EQ(none->faces, 0);
    const auto blind = calibrator->calibrate(std::vector{none->input});
    ASSERT_FALSE(blind.ok());
    EXPECT_TRUE(blind.error().code == Errc::NotFound ||
                blind.error().code == Errc::Unsupported) // a CPU without AVX2
        << blind.error().message;
    EXPECT_FALSE(calibrator->look(ImageView()).ok());
}

TEST_P(DetectorPrecision, Int8FindsTheFacesOfFp32) {
    const auto calibration = calibrate();
    if (!calibration && calibration.error().code == Errc::Unsupported)
        GTEST_SKIP() << calibration.error().message;
    ASSERT_TRUE(calibration.ok()) << calibration.error().message;
    ASSERT_TRUE(calibration->faces.has_value());
    EXPECT_GE(calibration->faces->share(), 0.95); // with crowds of faces at the threshold
    EXPECT_GT(calibration->int8_products, 0.4);
    ASSERT_TRUE(save_calibration(model_, *calibration).ok());

    const auto fp32 = detector(Precision::Fp32), int8 = detector(Precision::Int8);
    ASSERT_TRUE(fp32 && int8);
    FaceComparison comparison;
    std::size_t folders = 0;
    for (const auto &person : fs::directory_iterator(data_folder() / "data/lfw-dev")) {
        if (!person.is_directory() || ++folders > kFolders)
            continue;
        for (const std::string &path : pictures_in(person.path().string())) {
            const auto image = read_image(path);
            ASSERT_TRUE(image.ok()) << image.error().message;
            const auto want = fp32->detect(image->view(), {});
            const auto got = int8->detect(image->view(), {});
            ASSERT_TRUE(want.ok() && got.ok());
            comparison.add(*want, *got);
        }
    }
    bool in_int8 = false;
    for (const KernelUse &use : engine_->kernels())
        in_int8 = in_int8 || use.precision == "int8";
    EXPECT_TRUE(in_int8);
    const FaceAgreement seen = comparison.result();
    std::printf("%s: %d faces in fp32, %d in int8, %d in both, IoU %.4f, landmarks %.4f, "
                "95 %%: %.4f, scores %.4f\n",
                GetParam(), seen.fp32, seen.int8, seen.agreed, seen.iou, seen.landmarks_mean,
                seen.landmarks_p95, seen.score_mean);
    EXPECT_GT(seen.fp32, 60);
    EXPECT_GE(seen.share(), 0.96); // of these few, chance moves some over the threshold
    EXPECT_GE(seen.iou, kInt8LeastIou);
    EXPECT_LE(seen.landmarks_mean, 1.5 * kInt8MostLandmarkError);

    // Where the file says that faces are lost, precision=auto does without, whatever is faster.
    Int8Calibration poor = *calibration;
    poor.faces->agreed = poor.faces->agreed * 9 / 10;
    ASSERT_TRUE(save_calibration(model_, poor).ok());
    ASSERT_TRUE(detector(Precision::Auto));
    for (const KernelUse &use : engine_->kernels())
        EXPECT_NE(use.precision, "int8");
}

INSTANTIATE_TEST_SUITE_P(Detectors, DetectorPrecision,
                         testing::Values("yunet-320", "yunet-640", "ultralight"),
                         [](const auto &info) {
                             std::string name = info.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

} // namespace
} // namespace sphere
