// SPDX-License-Identifier: MIT
// Estimates about a face: age, gender, emotion, pose and what else a descriptor of task
// "attribute" says. docs/models.md has what they are worth and what not to use them for.
#pragma once

#include "core/base/result.h"
#include "core/engine/engine.h"
#include "core/face/detector.h"
#include "core/face/face.h"
#include "core/model/store.h"

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace sphere {

/// One network's answers. Thread-safe as its Engine is.
class AttributeFinder {
  public:
    virtual ~AttributeFinder() = default;
    /// Replaces the attributes of `face` that this network gives, or leaves them out where the
    /// face lies outside the frame or lacks what is needed (eyes need landmarks). Errors:
    /// Engine, Mismatch.
    virtual Result<void> find(const ImageView &frame, Face &face, DetectTiming *timing) = 0;
    virtual const ModelDescriptor &descriptor() const = 0;
};

/// Loads the networks that `models` names, separated by commas; "auto" takes all installed of
/// fr_age, fr_gender, fr_expression, fr_pose, fr_eye, fr_liveness. Errors: as
/// ModelStore::resolve and acquire_engine; NotFound where "auto" finds none.
Result<std::vector<std::shared_ptr<AttributeFinder>>>
make_attribute_finders(const ModelStore &store, const std::string &models,
                       const EngineOptions &options);

/// The face's region in the frame, px, and whether it may lie partly outside (then black).
/// `region` is a descriptor's key; `eye` 0 or 1, image-left first. Empty where there is none.
std::optional<Box> attribute_region(const std::string &region, double scale, const Face &face,
                                    int frame_width, int frame_height, std::size_t eye = 0);

/// Means over the last frames of a track: a face's numbers, and its scores before the best is
/// taken. Not thread-safe. Memory is bounded by kMaxTracks.
class AttributeSmoother {
  public:
    static constexpr std::size_t kMaxTracks = 1024;
    /// `window` frames; 1 or less = off.
    explicit AttributeSmoother(int window = 25) : window_(window) {}
    void set_window(int window) { window_ = window; }
    /// Smooths the attributes of `face` in place if it has a track.
    void smooth(Face &face);
    /// Gives a tracked face the attributes of before while they are under `interval` frames
    /// old. False: they are to be computed.
    bool reuse(Face &face, int interval);
    void clear() { tracks_.clear(); }

  private:
    struct Mean {
        int count = 0;
        std::vector<double> values;
    };
    struct Track {
        std::uint64_t last_use = 0;
        int frames_since = 0;
        std::vector<Attribute> attributes; ///< the last ones, smoothed
        std::unordered_map<std::string, Mean> means;
    };
    void forget_oldest();

    int window_;
    std::uint64_t uses_ = 0;
    std::unordered_map<std::int64_t, Track> tracks_;
};

} // namespace sphere
