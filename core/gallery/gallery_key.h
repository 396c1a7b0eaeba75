// SPDX-License-Identifier: MIT
// The key of encrypted gallery files.
#pragma once

#include "core/base/result.h"

#include <optional>
#include <string>

namespace sphere {

inline constexpr const char *kGalleryKeyFileVariable = "SPHERE_GALLERY_KEY_FILE";
inline constexpr const char *kGalleryKeyVariable = "SPHERE_GALLERY_KEY";

/// What the environment names: the contents of the file at SPHERE_GALLERY_KEY_FILE, without
/// line ends at its end, else SPHERE_GALLERY_KEY; empty: galleries are not encrypted. It is
/// read anew each time, and never shown. Errors: NotFound, Permission (the file, or anybody may
/// read it), InvalidArgument (empty, or larger than a key can be).
Result<std::optional<std::string>> gallery_key();

/// Whether galleries in files are encrypted (a key is named, be it readable or not): nothing of
/// them is to lie beside them in the clear.
bool galleries_are_encrypted();

} // namespace sphere
