// SPDX-License-Identifier: MIT
// Is the threshold safe for a gallery of any size? Asked of a sample, of the index that serves.
#pragma once

#include "core/gallery/gallery_check.h"
#include "core/gallery/matched_gallery.h"

#include <atomic>
#include <chrono>

namespace sphere {

/// check_gallery() without its findings, for galleries whose faces are too many to copy: up to
/// CheckOptions::most_probes faces, spread evenly, are looked for in the gallery's own index,
/// for `most_time` at most (a search that has begun is ended) or until `stop`. Where the mean
/// of a person is compared, people are left out instead of faces. GalleryCheck::probes says how
/// many were tried. The gallery's metric must be that of `options`. Errors: Unsupported
/// (galleries that a server searches), Internal (memory).
Result<GalleryCheck> check_sample(const MatchedGallery &gallery, const CheckOptions &options,
                                  std::chrono::milliseconds most_time,
                                  const std::atomic<bool> &stop);

/// The same of faces that `search` looks for where they are kept. Errors: as of the search.
Result<GalleryCheck> check_sample(const FaceSearch &search, const FaceSample &sample,
                                  const CheckOptions &options,
                                  std::chrono::milliseconds most_time,
                                  const std::atomic<bool> &stop);

} // namespace sphere
