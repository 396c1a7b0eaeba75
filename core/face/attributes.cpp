// SPDX-License-Identifier: MIT
// Regions of a face, the decoders of attribute networks, and smoothing over a track.
#include "core/face/attributes.h"

#include "core/face/detector_backends.h"
#include "core/image/warp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace sphere {
namespace {

constexpr std::array kAutoModels = {"fr_age",  "fr_gender", "fr_expression",
                                    "fr_pose", "fr_eye",    "fr_liveness"};
/// An eye's width as a share of the eyes' distance, for detectors that give its centre only.
constexpr double kEyeShare = 0.42;

double parameter(const ModelDescriptor &descriptor, const char *name, double otherwise) {
    const auto found = descriptor.parameters.find(name);
    return found != descriptor.parameters.end() ? found->second : otherwise;
}

/// The region grown by `scale` but no larger than the frame, then moved into it.
Box shifted_box(const Box &box, double scale, int width, int height) {
    scale = std::min({scale, (width - 1.0) / box.w, (height - 1.0) / box.h});
    const double w = box.w * scale, h = box.h * scale;
    const auto inside = [](double middle, double size, int limit) {
        return std::clamp(middle - size / 2, 0.0, std::max(0.0, limit - 1 - size));
    };
    return {static_cast<float>(inside(box.x + box.w / 2.0, w, width)),
            static_cast<float>(inside(box.y + box.h / 2.0, h, height)), static_cast<float>(w),
            static_cast<float>(h)};
}

Box square_about(double x, double y, double side) {
    return {static_cast<float>(x - side / 2), static_cast<float>(y - side / 2),
            static_cast<float>(side), static_cast<float>(side)};
}

std::optional<Box> eye_square(const Face &face, double scale, std::size_t eye) {
    if (face.dense_landmarks.size() == 68) {
        // iBUG 300-W: six points an eye, its corners 36 and 39, 42 and 45; the lids between.
        const std::size_t first = eye == 0 ? 36 : 42;
        const std::vector<Point2f> &p = face.dense_landmarks;
        double x = 0, y = 0;
        for (const std::size_t i : {1, 2, 4, 5}) {
            x += p[first + i].x / 4.0;
            y += p[first + i].y / 4.0;
        }
        return square_about(x, y, scale * std::abs(p[first + 3].x - p[first].x));
    }
    if (!face.landmarks)
        return std::nullopt;
    const Landmarks5 &p = *face.landmarks;
    const double distance = std::hypot(p[1].x - p[0].x, p[1].y - p[0].y);
    return square_about(p[eye].x, p[eye].y, scale * kEyeShare * distance);
}

std::vector<float> softmax(std::span<const float> values) {
    const float most = *std::max_element(values.begin(), values.end());
    std::vector<float> shares(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        shares[i] = std::exp(values[i] - most);
    const float sum = std::accumulate(shares.begin(), shares.end(), 0.0F);
    for (float &share : shares)
        share /= sum;
    return shares;
}

/// SSR-Net (Yang et al., "SSR-Net: A Compact Soft Stagewise Regression Network for Age
/// Estimation", IJCAI 2018, equation 5) with three stages of three bins and lambda 1. Outputs:
/// probabilities of the stages, their scale changes, their index offsets.
double ssr_value(const std::vector<Tensor> &outputs) {
    constexpr int kBins = 3;
    double value = 0, width = 1;
    for (std::size_t stage = 0; stage < 3; ++stage) {
        width *= kBins * (1 + static_cast<double>(outputs[3 + stage].data[0]));
        for (std::size_t bin = 0; bin < kBins; ++bin)
            value += (static_cast<double>(bin) + outputs[6 + stage].data[bin]) *
                     outputs[stage].data[bin] / width;
    }
    return value;
}

/// Hopenet (Ruiz et al., CVPR workshops 2018): the mean of bins by their probabilities.
double bin_angle(const std::vector<float> &bins, double first_deg, double bin_deg) {
    const std::vector<float> shares = softmax(bins);
    double mean = 0;
    for (std::size_t i = 0; i < shares.size(); ++i)
        mean += static_cast<double>(shares[i]) * static_cast<double>(i);
    return first_deg + bin_deg * mean;
}

class Network final : public AttributeFinder {
  public:
    Network(ModelDescriptor descriptor, std::shared_ptr<Engine> engine)
        : descriptor_(std::move(descriptor)), engine_(std::move(engine)) {}

    const ModelDescriptor &descriptor() const override { return descriptor_; }

    Result<void> find(const ImageView &frame, Face &face, DetectTiming *timing) override {
        const bool eyes = descriptor_.region == "eyes";
        for (std::size_t eye = 0; eye < (eyes ? 2U : 1U); ++eye) {
            const std::string prefix = !eyes ? "" : eye == 0 ? "left_" : "right_";
            erase(face, prefix);
            const auto region = attribute_region(descriptor_.region, descriptor_.region_scale,
                                                 face, frame.width, frame.height, eye);
            if (!region)
                continue;
            const std::lock_guard lock(mutex_);
            auto filled = fill_input(frame, *region);
            if (!filled)
                return std::move(filled).error();
            if (!*filled)
                continue;
            SPHERE_TRY(timed_run(*engine_, input_, outputs_, timing));
            SPHERE_TRY(read_outputs(prefix, face));
        }
        return {};
    }

  private:
    void erase(Face &face, const std::string &prefix) const {
        std::erase_if(face.attributes, [&](const Attribute &a) {
            return a.model == descriptor_.name && a.name.starts_with(prefix);
        });
    }

    /// False where nothing of the region lies in the frame.
    Result<bool> fill_input(const ImageView &frame, const Box &box) {
        const int width = descriptor_.input.width, height = descriptor_.input.height;
        const bool outside = !(box.w >= 1 && box.h >= 1) || box.x >= frame.width ||
                             box.y >= frame.height || box.x + box.w <= 0 || box.y + box.h <= 0;
        if (outside || box.w > 65536 || box.h > 65536)
            return false;
        const std::int64_t channels =
            descriptor_.input.norm.order == ChannelOrder::Gray ? 1 : 3;
        input_.reset({1, channels, height, width});
        const TensorPlane plane{input_.data.data(), std::ptrdiff_t{width} * height, width};
        // Whole pixels, as the networks' own programs cut.
        const RectI rect{static_cast<int>(box.x), static_cast<int>(box.y),
                         static_cast<int>(box.w), static_cast<int>(box.h)};
        const bool inside = box.x >= 0 && box.y >= 0 && rect.x + rect.w <= frame.width &&
                            rect.y + rect.h <= frame.height;
        if (inside) {
            SPHERE_TRY(
                resize_to_tensor(frame, rect, width, height, descriptor_.input.norm, plane));
            return true;
        }
        const double sx = width / static_cast<double>(box.w);
        const double sy = height / static_cast<double>(box.h);
        Affine to_crop; // half-pixel centres, black outside
        to_crop.m = {sx, 0, (0.5 - box.x) * sx - 0.5, 0, sy, (0.5 - box.y) * sy - 0.5};
        const auto crop = warp_affine(frame, to_crop, width, height);
        if (!crop)
            return false;
        normalize_to_tensor(*crop, descriptor_.input.norm, plane);
        return true;
    }

    Result<void> read_outputs(const std::string &prefix, Face &face) {
        for (const Tensor &output : outputs_)
            for (const float value : output.data)
                if (!std::isfinite(value))
                    return {}; // this face stays without
        if (descriptor_.decoder == "ssr") {
            constexpr std::array<std::int64_t, 9> kExpected{3, 3, 3, 1, 1, 1, 3, 3, 3};
            SPHERE_TRY(check_outputs(outputs_, kExpected, descriptor_.name));
            read_ssr(face);
            return {};
        }
        if (descriptor_.decoder == "angles") {
            constexpr std::array<const char *, 3> kNames{"yaw", "pitch", "roll"};
            if (outputs_.size() != kNames.size())
                return fail(Errc::Mismatch, "Model ", descriptor_.name, " gave ",
                            outputs_.size(), " outputs where 3 were expected.");
            for (std::size_t i = 0; i < kNames.size(); ++i)
                if (!outputs_[i].data.empty())
                    add_number(face, kNames[i],
                               bin_angle(outputs_[i].data,
                                         parameter(descriptor_, "first_deg", -99),
                                         parameter(descriptor_, "bin_deg", 3)));
            return {};
        }
        return read_classes(prefix, face);
    }

    void read_ssr(Face &face) {
        const double value = ssr_value(outputs_) * parameter(descriptor_, "range", 1);
        if (descriptor_.labels.size() != 2)
            return add_number(face, descriptor_.attribute, value);
        // Two classes at the ends of the range.
        const auto second = static_cast<float>(std::clamp(value, 0.0, 1.0));
        add_scores(face, descriptor_.attribute, {1 - second, second});
    }

    Result<void> read_classes(const std::string &prefix, Face &face) {
        const auto first = static_cast<std::size_t>(parameter(descriptor_, "first", 0));
        const std::size_t count = descriptor_.labels.size();
        if (outputs_.size() != 1 || outputs_[0].data.size() < first + count)
            return fail(Errc::Mismatch, "Model ", descriptor_.name,
                        ": its output is shorter than its `labels`.");
        add_scores(face, prefix + descriptor_.attribute,
                   softmax(std::span(outputs_[0].data).subspan(first, count)));
        return {};
    }

    void add_number(Face &face, const std::string &name, double value) const {
        Attribute attribute;
        attribute.name = name;
        attribute.model = descriptor_.name;
        attribute.number = static_cast<float>(value);
        face.attributes.push_back(std::move(attribute));
    }

    /// Scores of equal labels are added up.
    void add_scores(Face &face, const std::string &name,
                    const std::vector<float> &scores) const {
        Attribute attribute;
        attribute.name = name;
        attribute.model = descriptor_.name;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            const auto same = std::find(attribute.labels.begin(), attribute.labels.end(),
                                        descriptor_.labels[i]);
            if (same == attribute.labels.end()) {
                attribute.labels.push_back(descriptor_.labels[i]);
                attribute.scores.push_back(scores[i]);
            } else {
                attribute.scores[static_cast<std::size_t>(
                    std::distance(attribute.labels.begin(), same))] += scores[i];
            }
        }
        face.attributes.push_back(std::move(attribute));
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<Engine> engine_;
    std::mutex mutex_; ///< guards the scratch below
    Tensor input_;
    std::vector<Tensor> outputs_;
};

Result<std::shared_ptr<AttributeFinder>>
make_finder(const ModelStore &store, const std::string &name, const EngineOptions &options) {
    auto model = store.resolve(name, ModelTask::Attribute);
    if (!model)
        return std::move(model).error();
    auto engine = acquire_engine(*model, options);
    if (!engine)
        return std::move(engine).error();
    return std::shared_ptr<AttributeFinder>(
        std::make_shared<Network>(model->descriptor, std::move(*engine)));
}

std::vector<std::string> names_of(const ModelStore &store, const std::string &models) {
    std::vector<std::string> names;
    if (models.empty() || models == "auto") {
        for (const char *name : kAutoModels)
            if (const auto found = store.find(name); found && store.installed(*found))
                names.emplace_back(name);
        return names;
    }
    for (std::size_t from = 0; from <= models.size();) {
        const std::size_t to = std::min(models.find(',', from), models.size());
        if (to > from)
            names.push_back(models.substr(from, to - from));
        from = to + 1;
    }
    return names;
}

} // namespace

Result<std::vector<std::shared_ptr<AttributeFinder>>>
make_attribute_finders(const ModelStore &store, const std::string &models,
                       const EngineOptions &options) {
    const std::vector<std::string> names = names_of(store, models);
    if (names.empty())
        return fail(Errc::NotFound,
                    "no attribute model is installed; get one with: spherectl models fetch ",
                    kAutoModels[0]);
    EngineOptions own = options;
    own.instance_id.clear(); // one id is one network
    std::vector<std::shared_ptr<AttributeFinder>> finders;
    for (const std::string &name : names) {
        auto finder = make_finder(store, name, own);
        if (!finder)
            return std::move(finder).error();
        finders.push_back(std::move(*finder));
    }
    return finders;
}

std::optional<Box> attribute_region(const std::string &region, double scale, const Face &face,
                                    int frame_width, int frame_height, std::size_t eye) {
    if (region == "eyes")
        return eye_square(face, scale, eye);
    const Box &box = face.box;
    if (!is_sound(face) || frame_width < 2 || frame_height < 2)
        return std::nullopt;
    if (region == "shifted-box")
        return shifted_box(box, scale, frame_width, frame_height);
    const double x = box.x + box.w / 2.0, y = box.y + box.h / 2.0;
    if (region == "square")
        return square_about(x, y, scale * std::max(box.w, box.h));
    // "box": cut at the frame's edges.
    const auto cut = [](double value, int limit) {
        return static_cast<float>(std::clamp(value, 0.0, static_cast<double>(limit)));
    };
    const float x1 = cut(x - scale * box.w / 2, frame_width);
    const float y1 = cut(y - scale * box.h / 2, frame_height);
    return Box{x1, y1, cut(x + scale * box.w / 2, frame_width) - x1,
               cut(y + scale * box.h / 2, frame_height) - y1};
}

void AttributeSmoother::smooth(Face &face) {
    if (!face.track_id)
        return;
    Track &track = tracks_[*face.track_id];
    track.last_use = ++uses_;
    for (Attribute &attribute : face.attributes) {
        Mean &mean = track.means[attribute.name];
        std::vector<float *> values;
        for (float &score : attribute.scores)
            values.push_back(&score);
        if (attribute.labels.empty())
            values.push_back(&attribute.number);
        if (mean.values.size() != values.size())
            mean = {0, std::vector<double>(values.size())};
        mean.count = std::min(mean.count + 1, std::max(window_, 1));
        for (std::size_t i = 0; i < values.size(); ++i) {
            mean.values[i] += (static_cast<double>(*values[i]) - mean.values[i]) / mean.count;
            *values[i] = static_cast<float>(mean.values[i]);
        }
    }
    track.attributes = face.attributes;
    track.frames_since = 0;
    if (tracks_.size() > kMaxTracks)
        forget_oldest();
}

bool AttributeSmoother::reuse(Face &face, int interval) {
    if (!face.track_id)
        return false;
    const auto found = tracks_.find(*face.track_id);
    if (found == tracks_.end() || ++found->second.frames_since >= interval)
        return false;
    found->second.last_use = ++uses_;
    face.attributes = found->second.attributes;
    return true;
}

void AttributeSmoother::forget_oldest() {
    const auto oldest =
        std::min_element(tracks_.begin(), tracks_.end(), [](const auto &a, const auto &b) {
            return a.second.last_use < b.second.last_use;
        });
    tracks_.erase(oldest);
}

} // namespace sphere
