// SPDX-License-Identifier: MIT
// Whether a frame shows another scene than the one before.
#pragma once

#include <gst/video/video.h>

#include <array>

namespace sphere::gst {

/// Compares the frames' brightness on a coarse grid. Flashes and fades keep its pattern and are
/// no cuts; neither are frames without a pattern.
class SceneCut {
  public:
    /// True where `frame`, mapped for reading, begins another scene.
    bool next(const GstVideoFrame *frame);
    void reset() { have_grid_ = false; }

  private:
    static constexpr int kColumns = 24;
    static constexpr int kRows = 16;
    std::array<float, kColumns * kRows> grid_{}; ///< mean luma, 0..255
    bool have_grid_ = false;
};

} // namespace sphere::gst
