// SPDX-License-Identifier: MIT
// What every store refuses to enrol, whatever it keeps faces in.
#pragma once

#include "core/gallery/store.h"

namespace sphere {

/// UTF-8 without control characters.
bool is_plain_text(const std::string &text);

/// "unknown-12" -> 12; empty where `id` has not that form.
std::optional<std::int64_t> stranger_number(const std::string &id);

/// InvalidArgument where `id` cannot be a person's.
Result<void> check_person_id(const std::string &id);

/// InvalidArgument, naming the face's source and what is wrong with it.
Result<void> check_enrolments(const EmbeddingStamp &stamp, const std::vector<Enrolment> &faces);

/// The Error for embeddings of a stamp that a gallery does not have; says how to re-embed.
Error stamp_mismatch(const std::string &gallery, const EmbeddingStamp &have,
                     const EmbeddingStamp &got);

} // namespace sphere
