// SPDX-License-Identifier: MIT
// The lines of a portable gallery, as they are written. Internal to it.
#pragma once

#include "core/gallery/portable.h"

namespace sphere {

inline constexpr const char *kManifestName = "manifest.json";
inline constexpr const char *kPeopleName = "people.jsonl";
inline constexpr const char *kFacesName = "faces.jsonl";
inline constexpr const char *kEmbeddingsName = "embeddings.npy";
inline constexpr const char *kNegativesName = "negatives.jsonl";
inline constexpr const char *kNegativeEmbeddingsName = "negatives.npy";

std::string format_manifest(const PortableManifest &manifest);
std::string format_person(const Person &person);
std::string format_face(const FaceRecord &face, const std::vector<std::uint8_t> &thumbnail);
std::string format_negative(const NegativeRecord &negative);

} // namespace sphere
