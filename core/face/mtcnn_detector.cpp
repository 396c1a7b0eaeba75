// SPDX-License-Identifier: MIT
// MTCNN (Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded
// Convolutional Networks", IEEE SPL 23(10), 2016): P-Net looks at windows of 12 px in a pyramid
// of the picture, R-Net and O-Net at each window that is left, at 24 and 48 px. The published
// weights were trained on pictures in MATLAB's order, so the networks see all of them
// transposed.
#include "core/face/detector_backends.h"

#include "core/image/warp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

namespace sphere {
namespace {

constexpr int kPnetSide = 12;  ///< px, P-Net's window
constexpr int kPnetStride = 2; ///< px from window to window
constexpr int kRnetSide = 24;
constexpr int kOnetSide = 48;
constexpr int kPoints = 5;
/// Crops that go through R-Net and O-Net together: each other count makes the library lay the
/// network out anew, so batches are of this size but for the last.
constexpr std::size_t kBatch = 32;
/// Windows that a stage hands on at most, best first: a bound for pictures made to have many.
constexpr std::size_t kMaxWindows = 4096;
constexpr float kSameScaleIou = 0.5F; ///< the paper's suppression within a level of the pyramid
constexpr float kAcrossIou = 0.7F;    ///< and between levels, and after R-Net

/// A candidate in frame coordinates, and what the last network said of it.
struct Window {
    float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
    float score = 0;
    std::array<float, 4> shift{};            ///< of x1, y1, x2, y2, as shares of the window
    std::array<float, 2 * kPoints> points{}; ///< x of all five, then y, as shares

    float width() const { return x2 - x1; }
    float height() const { return y2 - y1; }
    Box box() const { return {x1, y1, x2 - x1, y2 - y1}; }

    Window moved() const {
        Window w = *this;
        w.x1 += shift[0] * width();
        w.y1 += shift[1] * height();
        w.x2 += shift[2] * width();
        w.y2 += shift[3] * height();
        return w;
    }
    Window enlarged(double by_x, double by_y) const {
        Window w = *this;
        w.x1 = static_cast<float>(x1 * by_x), w.x2 = static_cast<float>(x2 * by_x);
        w.y1 = static_cast<float>(y1 * by_y), w.y2 = static_cast<float>(y2 * by_y);
        return w;
    }
    /// The square of the longer side about the same centre.
    Window squared() const {
        Window w = *this;
        const float half = std::max(width(), height()) / 2;
        const float x = (x1 + x2) / 2, y = (y1 + y2) / 2;
        w.x1 = x - half, w.y1 = y - half, w.x2 = x + half, w.y2 = y + half;
        return w;
    }
    bool sound() const {
        return std::isfinite(x1) && std::isfinite(y1) && std::isfinite(box().area()) &&
               width() > 0 && height() > 0;
    }
};

/// A level of the pyramid. The first is the frame as it is and has no picture of its own.
struct Level {
    double scale = 1;                ///< as planned
    double scale_x = 1, scale_y = 1; ///< of its whole pixels
    bool proposes = false;           ///< P-Net looks at it
    Image image;
};

void suppress(std::vector<Window> &windows, float iou) {
    if (windows.size() > kMaxWindows) {
        const auto middle = windows.begin() + static_cast<std::ptrdiff_t>(kMaxWindows);
        std::nth_element(windows.begin(), middle, windows.end(),
                         [](const Window &a, const Window &b) { return a.score > b.score; });
        windows.erase(middle, windows.end());
    }
    std::vector<Box> boxes;
    std::vector<float> scores;
    for (const Window &window : windows) {
        boxes.push_back(window.box());
        scores.push_back(window.score);
    }
    std::vector<Window> kept;
    for (const int i : non_maximum_suppression(boxes, scores, iou))
        kept.push_back(windows[static_cast<std::size_t>(i)]);
    windows = std::move(kept);
}

/// The last suppression measures the overlap by the smaller box: a face within a face goes.
void suppress_nested(std::vector<Window> &windows, float limit) {
    std::stable_sort(windows.begin(), windows.end(),
                     [](const Window &a, const Window &b) { return a.score > b.score; });
    std::vector<Window> kept;
    for (const Window &window : windows) {
        const bool nested = std::any_of(kept.begin(), kept.end(), [&](const Window &k) {
            const float w = std::min(k.x2, window.x2) - std::max(k.x1, window.x1);
            const float h = std::min(k.y2, window.y2) - std::max(k.y1, window.y1);
            const float inner = std::max(w, 0.0F) * std::max(h, 0.0F);
            return inner > limit * std::min(k.box().area(), window.box().area());
        });
        if (!nested)
            kept.push_back(window);
    }
    windows = std::move(kept);
}

/// A picture's tensor with its axes exchanged: x outermost.
void transpose_planes(const std::vector<float> &from, int width, int height, float *to) {
    for (int c = 0; c < 3; ++c)
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x)
                to[(std::ptrdiff_t{c} * width + x) * height + y] =
                    from[static_cast<std::size_t>((std::ptrdiff_t{c} * height + y) * width +
                                                  x)];
}

double parameter(const ModelDescriptor &descriptor, const char *name, double otherwise) {
    const auto found = descriptor.parameters.find(name);
    return found != descriptor.parameters.end() ? found->second : otherwise;
}

class MtcnnDetector final : public Detector {
  public:
    MtcnnDetector(ModelDescriptor descriptor, std::array<std::shared_ptr<Engine>, 3> engines)
        : descriptor_(std::move(descriptor)), engines_(std::move(engines)),
          least_px_(std::clamp(parameter(descriptor_, "least_face_px", 20), 12.0, 4096.0)),
          factor_(std::clamp(parameter(descriptor_, "pyramid_factor", 0.709), 0.5, 0.95)),
          pnet_threshold_(static_cast<float>(parameter(descriptor_, "pnet_threshold", 0.6))),
          rnet_threshold_(static_cast<float>(parameter(descriptor_, "rnet_threshold", 0.7))) {}

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &given,
                                     DetectTiming *timing) override {
        const auto options = resolve_options(given, descriptor_);
        if (!options)
            return options.error();
        std::vector<Face> faces;
        if (frame.empty())
            return faces;
        const std::lock_guard lock(mutex_);
        // Faces that are left out anyway need no levels of the pyramid.
        SPHERE_TRY(
            build_pyramid(frame, std::max<double>(least_px_, options->min_face_size_px)));
        std::vector<Window> windows;
        SPHERE_TRY(propose(windows, timing));
        for (Window &window : windows)
            window = window.moved().squared();
        SPHERE_TRY(refine(frame, 1, kRnetSide, rnet_threshold_, windows, timing));
        suppress(windows, kAcrossIou);
        for (Window &window : windows)
            window = window.moved().squared();
        SPHERE_TRY(refine(frame, 2, kOnetSide, options->threshold, windows, timing));
        pyramid_.clear();
        finish(*options, windows, faces);
        return faces;
    }

  private:
    // Each level is made of the one before it, so that none is shrunk by more than a half at
    // once: plain bilinear sampling would skip pixels.
    Result<void> build_pyramid(const ImageView &frame, double least_px) {
        pyramid_.clear();
        pyramid_.emplace_back();
        double scale = kPnetSide / least_px;
        for (; std::min(frame.width, frame.height) * scale >= kPnetSide; scale *= factor_) {
            while (pyramid_.back().scale > 2 * scale)
                SPHERE_TRY(add_level(frame, pyramid_.back().scale / 2));
            SPHERE_TRY(add_level(frame, scale));
            pyramid_.back().proposes = true;
        }
        return {};
    }

    Result<void> add_level(const ImageView &frame, double scale) {
        const auto side = [scale](int px) {
            return std::max(1, static_cast<int>(std::ceil(px * scale)));
        };
        const int width = side(frame.width), height = side(frame.height);
        const ImageView from = pyramid_.size() == 1 ? frame : pyramid_.back().image.view();
        auto image = resize_to_bgr(from, {0, 0, from.width, from.height}, width, height);
        if (!image)
            return std::move(image).error();
        Level level;
        level.scale = scale;
        level.scale_x = static_cast<double>(width) / frame.width;
        level.scale_y = static_cast<double>(height) / frame.height;
        level.image = std::move(*image);
        pyramid_.push_back(std::move(level));
        return {};
    }

    /// P-Net over all levels.
    Result<void> propose(std::vector<Window> &windows, DetectTiming *timing) {
        for (const Level &level : pyramid_) {
            if (!level.proposes)
                continue;
            const int width = level.image.width, height = level.image.height;
            crop_.resize(level.image.bgr.size());
            normalize_to_tensor(level.image, descriptor_.input.norm,
                                {crop_.data(), std::ptrdiff_t{width} * height, width});
            input_.reset({1, 3, width, height});
            transpose_planes(crop_, width, height, input_.data.data());
            SPHERE_TRY(timed_run(*engines_[0], input_, outputs_, timing));
            std::vector<Window> found;
            SPHERE_TRY(read_map(found));
            // In the level's own whole pixels: windows 4 px apart overlap by exactly one half,
            // and no rounding may decide whether that is more than a half.
            suppress(found, kSameScaleIou);
            for (Window &window : found)
                windows.push_back(window.enlarged(1 / level.scale_x, 1 / level.scale_y));
        }
        suppress(windows, kAcrossIou);
        return {};
    }

    /// Windows in pixels of the level. The map is transposed as its input: [channel][x][y].
    Result<void> read_map(std::vector<Window> &found) const {
        if (outputs_.size() != 2 || outputs_[0].shape.size() != 4)
            return fail(Errc::Mismatch, "Model ", descriptor_.name,
                        ": its first network gives no map: see `outputs` in its descriptor.");
        const std::int64_t columns = outputs_[0].shape[2], rows = outputs_[0].shape[3];
        const std::int64_t cells = columns * rows;
        const std::int64_t expected[] = {2 * cells, 4 * cells};
        SPHERE_TRY(check_outputs(outputs_, expected, descriptor_.name));
        const float *scores = outputs_[0].data.data() + cells;
        for (std::int64_t i = 0; i < cells; ++i) {
            if (!(scores[i] >= pnet_threshold_))
                continue;
            Window window;
            const std::int64_t column = i / rows, row = i % rows;
            window.x1 = static_cast<float>(column * kPnetStride);
            window.y1 = static_cast<float>(row * kPnetStride);
            window.x2 = window.x1 + kPnetSide;
            window.y2 = window.y1 + kPnetSide;
            window.score = scores[i];
            for (std::size_t k = 0; k < 4; ++k)
                window.shift[k] = outputs_[1].data[k * static_cast<std::size_t>(cells) +
                                                   static_cast<std::size_t>(i)];
            found.push_back(window);
        }
        return {};
    }

    /// R-Net (stage 1) or O-Net (stage 2) over the windows; those below `threshold` go.
    Result<void> refine(const ImageView &frame, std::size_t stage, int side, float threshold,
                        std::vector<Window> &windows, DetectTiming *timing) {
        std::vector<Window> kept;
        std::erase_if(windows, [](const Window &w) { return !w.sound(); });
        for (std::size_t done = 0; done < windows.size();) {
            const std::size_t batch = std::min(kBatch, windows.size() - done);
            const std::size_t values = 3 * static_cast<std::size_t>(side * side);
            input_.reset({static_cast<std::int64_t>(batch), 3, side, side});
            for (std::size_t i = 0; i < batch; ++i)
                SPHERE_TRY(
                    fill_crop(frame, windows[done + i], side, input_.data.data() + i * values));
            SPHERE_TRY(timed_run(*engines_[stage], input_, outputs_, timing));
            const auto n = static_cast<std::int64_t>(batch);
            const std::array<std::int64_t, 3> expected{2 * n, 4 * n, 2 * kPoints * n};
            SPHERE_TRY(check_outputs(outputs_, std::span(expected).first(stage + 1),
                                     descriptor_.name));
            for (std::size_t i = 0; i < batch; ++i) {
                Window window = windows[done + i];
                window.score = outputs_[0].data[2 * i + 1];
                if (!(window.score >= threshold))
                    continue;
                std::copy_n(outputs_[1].data.data() + 4 * i, 4, window.shift.data());
                if (stage == 2)
                    std::copy_n(outputs_[2].data.data() + 2 * kPoints * i, 2 * kPoints,
                                window.points.data());
                kept.push_back(window);
            }
            done += batch;
        }
        windows = std::move(kept);
        return {};
    }

    /// A window's pixels, black outside the picture, from the smallest level that is not
    /// smaller than the network wants.
    Result<void> fill_crop(const ImageView &frame, const Window &window, int side, float *to) {
        std::size_t chosen = 0;
        for (std::size_t i = 1; i < pyramid_.size(); ++i)
            if (pyramid_[i].scale * window.width() >= side)
                chosen = i;
        const Level &level = pyramid_[chosen];
        const double kx = side / (window.width() * level.scale_x);
        const double ky = side / (window.height() * level.scale_y);
        Affine to_crop; // half-pixel centres
        to_crop.m = {kx, 0,  (0.5 - window.x1 * level.scale_x) * kx - 0.5,
                     0,  ky, (0.5 - window.y1 * level.scale_y) * ky - 0.5};
        auto crop = warp_affine(chosen == 0 ? frame : level.image.view(), to_crop, side, side);
        if (!crop)
            return std::move(crop).error();
        crop_.resize(crop->bgr.size());
        normalize_to_tensor(*crop, descriptor_.input.norm,
                            {crop_.data(), std::ptrdiff_t{side} * side, side});
        transpose_planes(crop_, side, side, to);
        return {};
    }

    static void finish(const DetectOptions &options, std::vector<Window> &windows,
                       std::vector<Face> &faces) {
        std::vector<Window> moved;
        for (const Window &window : windows) {
            moved.push_back(window.moved());
            for (std::size_t k = 0; k < kPoints; ++k) { // shares of the square O-Net saw
                moved.back().points[k] = window.x1 + window.points[k] * window.width();
                moved.back().points[kPoints + k] =
                    window.y1 + window.points[kPoints + k] * window.height();
            }
        }
        suppress_nested(moved, options.nms_threshold);
        for (const Window &window : moved) {
            Face face;
            face.score = std::min(window.score, 1.0F);
            face.box = window.box();
            Landmarks5 landmarks;
            for (std::size_t k = 0; k < kPoints; ++k)
                landmarks[k] = {window.points[k], window.points[kPoints + k]};
            face.landmarks = landmarks;
            if (is_sound(face))
                faces.push_back(std::move(face));
        }
        select_faces(faces, options);
    }

    ModelDescriptor descriptor_;
    std::array<std::shared_ptr<Engine>, 3> engines_;
    double least_px_, factor_;
    float pnet_threshold_, rnet_threshold_;
    std::mutex mutex_; ///< guards the scratch below
    std::vector<Level> pyramid_;
    std::vector<float> crop_;
    Tensor input_;
    std::vector<Tensor> outputs_;
};

/// One network of the cascade as a model of its own.
ResolvedModel part_of(const ResolvedModel &model, const char *part, int side,
                      std::span<const std::string> outputs) {
    ResolvedModel network;
    network.descriptor = model.descriptor;
    network.descriptor.name += std::string(":") + part;
    network.descriptor.files.clear();
    for (std::size_t i = 0; i < model.descriptor.files.size(); ++i) {
        ModelFile file = model.descriptor.files[i];
        const std::size_t colon = file.role.find(':');
        if (colon == std::string::npos || file.role.substr(colon + 1) != part)
            continue;
        file.role.resize(colon);
        network.descriptor.files.push_back(file);
        network.paths.push_back(model.paths[i]);
    }
    network.sha256 = model.sha256;
    network.descriptor.input.width = network.descriptor.input.height = side;
    network.descriptor.input_size_is_free = side == kPnetSide;
    network.descriptor.input_step_px = 1;
    network.descriptor.outputs.assign(outputs.begin(), outputs.end());
    return network;
}

} // namespace

Result<std::shared_ptr<Detector>> make_mtcnn(const ResolvedModel &model,
                                             const EngineOptions &options,
                                             const std::shared_ptr<LandmarkFinder> &) {
    struct Part {
        const char *name;
        int side;
        std::size_t first, count; ///< of the descriptor's outputs
    };
    constexpr std::array<Part, 3> kParts{
        {{"pnet", kPnetSide, 0, 2}, {"rnet", kRnetSide, 2, 2}, {"onet", kOnetSide, 4, 3}}};
    const std::span<const std::string> outputs(model.descriptor.outputs);
    std::array<std::shared_ptr<Engine>, 3> engines;
    for (std::size_t i = 0; i < kParts.size(); ++i) {
        const Part &part = kParts[i];
        auto engine = acquire_engine(
            part_of(model, part.name, part.side, outputs.subspan(part.first, part.count)),
            options);
        if (!engine)
            return std::move(engine).error();
        engines[i] = std::move(*engine);
    }
    return std::shared_ptr<Detector>(
        std::make_shared<MtcnnDetector>(model.descriptor, std::move(engines)));
}

} // namespace sphere
