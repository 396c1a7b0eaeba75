// SPDX-License-Identifier: MIT
// Names of states and reasons, the stamp as text, landmarks of 68 points.
#include "core/face/face.h"

#include <algorithm>

#include <charconv>
#include <utility>

namespace sphere {
namespace {

Point2f mean(const std::vector<Point2f> &points, std::initializer_list<std::size_t> indices) {
    Point2f sum;
    for (const std::size_t i : indices) {
        sum.x += points[i].x;
        sum.y += points[i].y;
    }
    const auto n = static_cast<float>(indices.size());
    return {sum.x / n, sum.y / n};
}

} // namespace

Landmarks5 landmarks_from_68(const std::vector<Point2f> &points) {
    if (points.size() < 68)
        return {};
    return {mean(points, {37, 38, 40, 41}), mean(points, {43, 44, 46, 47}), points[30],
            mean(points, {48, 60}), mean(points, {54, 64})};
}

void order_landmarks(Landmarks5 &points) {
    if (points[0].x > points[1].x)
        std::swap(points[0], points[1]);
    if (points[3].x > points[4].x)
        std::swap(points[3], points[4]);
}

std::string EmbeddingStamp::to_string() const {
    return model + '|' + sha256 + '|' + preprocessing + '|' + template_name + '|' + flip + '|' +
           std::to_string(dims);
}

std::optional<EmbeddingStamp> EmbeddingStamp::from_string(const std::string &text) {
    std::vector<std::string> parts(1);
    for (const char c : text)
        if (c == '|')
            parts.emplace_back();
        else
            parts.back() += c;
    if (parts.size() != 6)
        return std::nullopt;
    EmbeddingStamp stamp{parts[0], parts[1], parts[2], parts[3], parts[4], 0};
    const char *end = parts[5].data() + parts[5].size();
    const auto [used, error] = std::from_chars(parts[5].data(), end, stamp.dims);
    if (error != std::errc() || used != end || stamp.dims <= 0)
        return std::nullopt;
    return stamp;
}

const char *face_state_name(FaceState state) {
    switch (state) {
    case FaceState::Undecided:
        return "";
    case FaceState::Known:
        return "known";
    case FaceState::Unknown:
        return "unknown";
    case FaceState::Ambiguous:
        return "ambiguous";
    case FaceState::Unusable:
        return "unusable";
    }
    return "";
}

const char *face_reason_name(FaceReason reason) {
    switch (reason) {
    case FaceReason::None:
        return "";
    case FaceReason::TooSmall:
        return "too-small";
    case FaceReason::Blurred:
        return "blurred";
    case FaceReason::Profile:
        return "profile";
    case FaceReason::Truncated:
        return "truncated";
    case FaceReason::NoLandmarks:
        return "no-landmarks";
    case FaceReason::LowQuality:
        return "low-quality";
    case FaceReason::NotEmbedded:
        return "not-embedded";
    case FaceReason::BelowThreshold:
        return "below-threshold";
    case FaceReason::Ambiguous:
        return "ambiguous";
    case FaceReason::EmptyGallery:
        return "empty-gallery";
    case FaceReason::WrongModel:
        return "wrong-model";
    case FaceReason::Ignored:
        return "ignored";
    }
    return "";
}

std::size_t Attribute::best() const {
    const auto most = std::max_element(scores.begin(), scores.end());
    return static_cast<std::size_t>(std::distance(scores.begin(), most));
}

} // namespace sphere
