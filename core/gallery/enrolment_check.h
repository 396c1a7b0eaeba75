// SPDX-License-Identifier: MIT
// What every store refuses to enrol, whatever it keeps faces in.
#pragma once

#include "core/gallery/store.h"

namespace sphere {

/// InvalidArgument, naming the face's source and what is wrong with it.
Result<void> check_enrolments(const EmbeddingStamp &stamp, const std::vector<Enrolment> &faces);

/// The Error for embeddings of a stamp that a gallery does not have; says how to re-embed.
Error stamp_mismatch(const std::string &gallery, const EmbeddingStamp &have,
                     const EmbeddingStamp &got);

} // namespace sphere
