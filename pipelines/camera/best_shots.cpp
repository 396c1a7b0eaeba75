// SPDX-License-Identifier: MIT
#include "pipelines/camera/best_shots.h"

#include "core/image/resize.h"
#include "gst/base/frame.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace sphere::camera {
namespace {

constexpr double kBetterBy = 1.1;     ///< less is not worth another picture
constexpr double kSurroundings = 1.6; ///< side of the picture in sides of the face's box
constexpr std::chrono::milliseconds kNotOftener{200};

struct Sight {
    std::int64_t track = -1;
    double score = 0;
    RectI area;
};

std::optional<Sight> sight_of(const GstSphereFace *face, int width, int height) {
    if (gst_sphere_face_get_carried(face) != FALSE)
        return std::nullopt;
    double x = 0, y = 0, w = 0, h = 0;
    gst_sphere_face_get_box(face, &x, &y, &w, &h);
    Sight sight;
    sight.track = gst_sphere_face_get_track_id(face);
    if (gst_sphere_face_get_quality(face, &sight.score, nullptr, nullptr, nullptr) == FALSE)
        sight.score = 0.1 * gst_sphere_face_get_score(face); // any assessed one is better
    const double side = std::max(w, h) * kSurroundings;
    if (!std::isfinite(x + y + side) || side < 8 || side > 1e6)
        return std::nullopt;
    const double left = std::clamp(x + (w - side) / 2, 0.0, static_cast<double>(width));
    const double top = std::clamp(y + (h - side) / 2, 0.0, static_cast<double>(height));
    const double right = std::clamp(x + (w + side) / 2, 0.0, static_cast<double>(width));
    const double bottom = std::clamp(y + (h + side) / 2, 0.0, static_cast<double>(height));
    sight.area = {static_cast<int>(left), static_cast<int>(top), static_cast<int>(right - left),
                  static_cast<int>(bottom - top)};
    if (sight.area.w < 8 || sight.area.h < 8)
        return std::nullopt;
    return sight;
}

} // namespace

void BestShots::make_room() {
    while (shots_.size() >= kMaxTracks)
        shots_.erase(
            std::min_element(shots_.begin(), shots_.end(), [](const auto &a, const auto &b) {
                return a.second.seen_at < b.second.seen_at;
            }));
}

void BestShots::see(const GstVideoInfo &info, GstBuffer *buffer,
                    const GstSphereFaceMeta *meta) {
    const auto now = std::chrono::steady_clock::now();
    std::optional<sphere::gst::MappedFrame> frame;
    const guint n = gst_sphere_face_meta_get_n_faces(meta);
    for (guint i = 0; i < n; ++i) {
        const auto sight =
            sight_of(gst_sphere_face_meta_peek_face(meta, i), info.width, info.height);
        if (!sight)
            continue;
        const auto known = shots_.find(sight->track);
        if (known != shots_.end()) {
            Shot &shot = known->second;
            shot.seen_at = now;
            // Without tracks the newest is as good as any.
            const bool better = sight->track < 0 || sight->score > shot.score * kBetterBy;
            if (!better || now - shot.taken_at < kNotOftener)
                continue;
        } else {
            make_room();
        }
        if (!frame) {
            auto mapped = sphere::gst::MappedFrame::map(info, buffer);
            if (!mapped)
                return;
            frame.emplace(std::move(*mapped));
        }
        const double scale = std::min(1.0, static_cast<double>(kLongestSidePx) /
                                               std::max(sight->area.w, sight->area.h));
        auto image = resize_to_bgr(frame->view(), sight->area,
                                   std::max(1, static_cast<int>(sight->area.w * scale)),
                                   std::max(1, static_cast<int>(sight->area.h * scale)));
        if (image)
            shots_[sight->track] = {sight->score, now, now,
                                    std::make_shared<const Image>(std::move(*image))};
    }
}

std::shared_ptr<const Image> BestShots::of(std::int64_t track) const {
    const auto found = shots_.find(track);
    return found == shots_.end() ? nullptr : found->second.image;
}

} // namespace sphere::camera
