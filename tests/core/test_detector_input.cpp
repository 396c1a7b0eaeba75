// SPDX-License-Identifier: MIT
// What a detector gives its network: the size of the input.
#include "core/face/detector.h"
#include "core/image/image.h"

#include <gtest/gtest.h>

namespace sphere {
namespace {

using Shape = std::vector<std::int64_t>;

/// Notes what it is given and finds nothing.
class NotingEngine final : public Engine {
  public:
    Result<void> run(const Tensor &input, std::vector<Tensor> &) override {
        shape = input.shape;
        return fail(Errc::Engine, "no network here");
    }
    const char *name() const override { return "noting"; }
    int preferred_batch() const override { return 1; }

    Shape shape;
};

Shape input_for(const char *model, int width, int height, const DetectOptions &options) {
    const auto descriptor = ModelStore::from_environment().find(model);
    if (!descriptor) {
        ADD_FAILURE() << descriptor.error().message;
        return {};
    }
    auto engine = std::make_shared<NotingEngine>();
    auto detector = make_detector_on({*descriptor, {}, {}}, engine);
    if (!detector) {
        ADD_FAILURE() << detector.error().message;
        return {};
    }
    const Image frame(width, height);
    EXPECT_FALSE((*detector)->detect(frame.view(), options).ok());
    return engine->shape;
}

TEST(DetectorInput, IsTheModelsOwnUnlessAsked) {
    for (const char *model : {"yunet-640", "retinaface-dyn"}) {
        EXPECT_EQ(input_for(model, 1920, 1080, {}), (Shape{1, 3, 640, 640})) << model;
        DetectOptions wide;
        wide.input_width_px = 416;
        wide.input_height_px = 256;
        wide.trim_input = true; // does not touch what was asked for
        EXPECT_EQ(input_for(model, 1920, 1920, wide), (Shape{1, 3, 256, 416})) << model;
    }
}

TEST(DetectorInput, LeavesOutWhatALetterboxWouldNotFill) {
    DetectOptions trimmed;
    trimmed.trim_input = true;
    for (const auto &[width, height, rows, columns] : {std::tuple{1920, 1080, 384, 640},
                                                       {1080, 1920, 640, 384},
                                                       {640, 480, 480, 640},
                                                       {500, 500, 640, 640},
                                                       {2560, 1080, 288, 640},
                                                       {4000, 3, 32, 640},
                                                       {1, 1, 640, 640},
                                                       {333, 310, 608, 640}})
        for (const char *model : {"yunet-640", "retinaface-dyn"})
            EXPECT_EQ(input_for(model, width, height, trimmed), (Shape{1, 3, rows, columns}))
                << model << ", " << width << "x" << height;
    EXPECT_EQ(input_for("yunet-320", 1280, 720, trimmed), (Shape{1, 3, 192, 320}));
}

TEST(DetectorInput, StaysWhereTheNetworkHasOneSize) {
    DetectOptions trimmed;
    trimmed.trim_input = true;
    for (const char *model : {"ultralight", "scrfd-500m", "retinaface"})
        EXPECT_EQ(input_for(model, 1920, 1080, trimmed), input_for(model, 1920, 1080, {}))
            << model;
}

} // namespace
} // namespace sphere
