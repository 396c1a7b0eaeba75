// SPDX-License-Identifier: MIT
// A picture that is drawn over faces, in a frame's own pixel format.
#pragma once

#include "core/base/result.h"
#include "gst/elements/redactor.h"

#include <memory>
#include <string>

namespace sphere::gst {

/// Not thread-safe: keeps the picture at the size that was drawn last.
class CoverImage {
  public:
    /// A PNG file, with alpha or without; 16 MiB and 4096 px a side at most. Errors:
    /// InvalidArgument (empty path), NotFound, Permission, Corrupt; each names the path.
    static Result<std::unique_ptr<CoverImage>> load(const std::string &path);
    ~CoverImage();
    CoverImage(const CoverImage &) = delete;
    CoverImage &operator=(const CoverImage &) = delete;

    /// In the middle of `area` and as small as covers it whole, its shape kept. What it leaves
    /// clear shows what is in the frame. `frame` is mapped for reading and writing.
    void draw(GstVideoFrame *frame, const RedactArea &area);

    struct Picture;

  private:
    explicit CoverImage(std::unique_ptr<Picture> picture);
    std::unique_ptr<Picture> picture_;
};

} // namespace sphere::gst
