// SPDX-License-Identifier: MIT
// A gallery and the models that its embeddings were made with.
#pragma once

#include "core/cli/face_session.h"
#include "core/gallery/store.h"

#include <optional>
#include <string>

namespace sphere::cli {

inline constexpr OptionSpec kGalleryOption = {"gallery", "PATH",
                                              "the gallery: a path or sqlite:PATH"};

Result<std::string> gallery_location(const Arguments &arguments);

/// `options` with the gallery's own model and flip where the command line names none, so that a
/// gallery keeps working when another default model is installed.
SessionOptions follow_stamp(SessionOptions options, const Arguments &arguments,
                            const std::optional<EmbeddingStamp> &stamp);

/// As FaceSession::judgement, by the descriptor of the model that made a gallery: no network is
/// loaded. Errors: NotFound where nobody is enrolled or the descriptor is not installed and
/// --metric and --threshold are not given.
Result<Judgement> judge_by_stamp(const Arguments &arguments,
                                 const std::optional<EmbeddingStamp> &stamp);

/// Mismatch, naming both and the way to re-embed, where the gallery's stamp is another.
Result<void> check_stamp(const std::string &gallery, const std::optional<EmbeddingStamp> &stamp,
                         const FaceSession &session);

} // namespace sphere::cli
