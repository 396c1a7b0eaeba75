// SPDX-License-Identifier: MIT
// The crop templates, and faces to crops.
#include "core/face/aligner.h"

#include "core/image/warp.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

namespace sphere {
namespace {

// The five points of the SphereFace release (wy1iu/sphereface,
// preprocess/code/face_align_demo.m), in its 112x96 crop.
constexpr Landmarks5 kSpherefacePoints{{{30.2946F, 51.6963F},
                                        {65.5318F, 51.5014F},
                                        {48.0252F, 71.7366F},
                                        {33.5493F, 92.3655F},
                                        {62.7299F, 92.2041F}}};
constexpr float kArcfaceShiftPx =
    8; ///< ArcFace's 112x112 is the same crop, 8 px wider each side

// OpenFace's 68-point template (cmusatyalab/openface, openface/align_dlib.py, scaled to its
// extremes) at 96 px, reduced to five points as landmarks_from_68 does.
constexpr Landmarks5 kOpenfacePoints{{{26.5508F, 15.7558F},
                                      {67.8976F, 14.9532F},
                                      {47.2410F, 40.5223F},
                                      {30.9311F, 61.8247F},
                                      {65.3010F, 61.1377F}}};

constexpr int kSmallestCropPx = 8;
constexpr int kLargestCropPx = 1024;
constexpr float kLeastShareInFrame =
    0.5F; ///< of the box; below it the face counts as truncated

// "HxW" after "box-".
std::optional<std::pair<int, int>> parse_box_size(const std::string &text) {
    int height = 0, width = 0;
    const char *end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, height);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != 'x')
        return std::nullopt;
    const auto second = std::from_chars(first.ptr + 1, end, width);
    if (second.ec != std::errc() || second.ptr != end)
        return std::nullopt;
    const auto in_range = [](int v) { return v >= kSmallestCropPx && v <= kLargestCropPx; };
    if (!in_range(height) || !in_range(width))
        return std::nullopt;
    return std::pair{height, width};
}

Box grown_box(const Face &face, float margin) {
    return {face.box.x - margin * face.box.w, face.box.y - margin * face.box.h,
            face.box.w * (1 + 2 * margin), face.box.h * (1 + 2 * margin)};
}

// Box to crop: turned about the box's centre so that the eyes are level, then stretched to the
// crop as cv::resize does (half-pixel centres).
Affine box_transform(const Box &box, float roll_deg, int width, int height) {
    const double angle = -roll_deg * std::numbers::pi / 180;
    const double c = std::cos(angle), s = std::sin(angle);
    const double sx = width / static_cast<double>(box.w),
                 sy = height / static_cast<double>(box.h);
    // Pixel centres: a box from x to x + w covers centres x .. x + w - 1.
    const double cx = box.x + (box.w - 1) / 2.0, cy = box.y + (box.h - 1) / 2.0;
    const double ox = (width - 1) / 2.0, oy = (height - 1) / 2.0;
    Affine affine;
    affine.m = {sx * c, -sx * s, ox - sx * (c * cx - s * cy),
                sy * s, sy * c,  oy - sy * (s * cx + c * cy)};
    return affine;
}

float share_in_frame(const Box &box, const ImageView &frame) {
    const float x0 = std::max(box.x, 0.0F), y0 = std::max(box.y, 0.0F);
    const float x1 = std::min(box.x + box.w, static_cast<float>(frame.width));
    const float y1 = std::min(box.y + box.h, static_cast<float>(frame.height));
    const float inside = Box{x0, y0, x1 - x0, y1 - y0}.area();
    return box.area() > 0 ? inside / box.area() : 0;
}

// Where the template is stretched over the box, what lies outside it must not show when it
// turns.
std::optional<RectI> box_limit(const Box &box, const ImageView &frame) {
    const int x0 = std::clamp(static_cast<int>(std::lround(box.x)), 0, frame.width - 1);
    const int y0 = std::clamp(static_cast<int>(std::lround(box.y)), 0, frame.height - 1);
    const int x1 =
        std::clamp(static_cast<int>(std::lround(box.x + box.w)), x0 + 1, frame.width);
    const int y1 =
        std::clamp(static_cast<int>(std::lround(box.y + box.h)), y0 + 1, frame.height);
    return RectI{x0, y0, x1 - x0, y1 - y0};
}

// The box as whole pixels of the frame, if it is such and is not turned. It is then resized as
// it stands, edge pixels repeated, as cv::resize of the cut-out does; a warp would blend its
// edge with what lies around it.
std::optional<RectI> upright_rect(const Box &box, const Face &face, const ImageView &frame) {
    if (face.eye_roll_deg.value_or(0) != 0)
        return std::nullopt;
    const auto whole = [](float v) { return std::floor(v) == v; };
    if (!whole(box.x) || !whole(box.y) || !whole(box.w) || !whole(box.h) || box.x < 0 ||
        box.y < 0 || box.x + box.w > static_cast<float>(frame.width) ||
        box.y + box.h > static_cast<float>(frame.height))
        return std::nullopt;
    return RectI{static_cast<int>(box.x), static_cast<int>(box.y), static_cast<int>(box.w),
                 static_cast<int>(box.h)};
}

Result<Image> cut_crop(const ImageView &frame, const Face &face, const AlignTemplate &tmpl,
                       const AlignOptions &options, const Affine &transform) {
    std::optional<RectI> limit;
    if (!tmpl.uses_landmarks) {
        const Box box = grown_box(face, options.crop_margin);
        if (const auto rect = upright_rect(box, face, frame))
            return resize_to_bgr(frame, *rect, tmpl.width, tmpl.height);
        if (face.eye_roll_deg)
            limit = box_limit(box, frame);
    }
    return warp_affine(frame, transform, tmpl.width, tmpl.height, limit);
}

// What is worst about a face of low quality.
FaceReason worst_of(const Quality &quality) {
    constexpr float kBlurred = 0.3F;     ///< sharpness below this shows as blur
    constexpr float kProfileDeg = 45.0F; ///< both eyes are hardly seen beyond this yaw
    if (std::abs(quality.yaw_deg) > kProfileDeg)
        return FaceReason::Profile;
    if (quality.sharpness < kBlurred)
        return FaceReason::Blurred;
    return FaceReason::LowQuality;
}

} // namespace

Result<AlignTemplate> find_template(const std::string &name) {
    AlignTemplate found;
    found.name = name;
    found.points = kSpherefacePoints;
    found.height = 112;
    if (name == "sphereface-112x96") {
        found.width = 96;
        return found;
    }
    if (name == "arcface-112x112") {
        found.width = 112;
        for (Point2f &point : found.points)
            point.x += kArcfaceShiftPx;
        return found;
    }
    if (name == "openface-96x96") {
        found.width = found.height = 96;
        found.points = kOpenfacePoints;
        return found;
    }
    if (name.rfind("box-", 0) == 0)
        if (const auto size = parse_box_size(name.substr(4))) {
            found.height = size->first;
            found.width = size->second;
            found.uses_landmarks = false;
            found.points = {};
            return found;
        }
    return fail(
        Errc::InvalidArgument, "There is no template '", name,
        "': use sphereface-112x96, arcface-112x112, openface-96x96, or box-HEIGHTxWIDTH with "
        "sides of ",
        kSmallestCropPx, " to ", kLargestCropPx, " px.");
}

std::vector<std::string> template_names() {
    return {"sphereface-112x96", "arcface-112x112", "openface-96x96",
            "box-112x96",        "box-112x112",     "box-96x112"};
}

Result<Affine> crop_transform(const Face &face, const AlignTemplate &tmpl,
                              const AlignOptions &options) {
    if (!tmpl.uses_landmarks) {
        const Box box = grown_box(face, options.crop_margin);
        if (!(box.w >= 1) || !(box.h >= 1))
            return fail(Errc::InvalidArgument, "The face's box is empty.");
        return box_transform(box, face.eye_roll_deg.value_or(0), tmpl.width, tmpl.height);
    }
    if (!face.landmarks)
        return fail(
            Errc::NotFound, "Template ", tmpl.name,
            " needs landmarks and the face has none: use a detector with landmarks or set "
            "landmark-model.");
    const auto affine = estimate_similarity(*face.landmarks, tmpl.points);
    if (!affine || !affine->inverse())
        return fail(Errc::InvalidArgument, "The face's landmarks coincide.");
    return *affine;
}

void align_face(const ImageView &frame, const AlignTemplate &tmpl, const AlignOptions &options,
                Face &face) {
    face.crop.reset();
    face.crop_template.clear();
    const auto pass_over = [&face](FaceReason reason) { face.reason = reason; };
    const auto transform = crop_transform(face, tmpl, options);
    if (!transform)
        return pass_over(transform.error().code == Errc::NotFound ? FaceReason::NoLandmarks
                                                                  : FaceReason::TooSmall);
    if (frame.empty() || share_in_frame(face.box, frame) < kLeastShareInFrame)
        return pass_over(FaceReason::Truncated);
    if (face.landmarks && options.min_eye_distance_px > 0) {
        const Landmarks5 &points = *face.landmarks;
        if (std::hypot(points[1].x - points[0].x, points[1].y - points[0].y) <
            options.min_eye_distance_px)
            return pass_over(FaceReason::TooSmall);
    }
    auto crop = cut_crop(frame, face, tmpl, options, *transform);
    if (!crop)
        return pass_over(FaceReason::TooSmall);
    face.quality = assess_quality(face, *crop);
    if (face.quality->score < options.min_quality)
        return pass_over(worst_of(*face.quality));
    face.crop = std::make_shared<const Image>(std::move(*crop));
    face.crop_template = tmpl.name;
    face.reason = FaceReason::None;
}

} // namespace sphere
