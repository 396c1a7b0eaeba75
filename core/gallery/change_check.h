// SPDX-License-Identifier: MIT
// What every gallery refuses to change, and what it writes down of what it did.
#pragma once

#include "core/gallery/people_admin.h"

namespace sphere {

/// InvalidArgument: ids, labels and attributes that are empty, too long or not text, thresholds
/// that are no distances, embeddings that do not fit their stamp.
Result<void> check_change(const GalleryChange &change);

/// The name of a change in the audit table: "set", "rename", "remove" …
std::string audit_action(const GalleryChange &change);

/// The name of the user that this process belongs to, or "uid 1000".
std::string audit_user();

std::int64_t unix_time_ms();

} // namespace sphere
