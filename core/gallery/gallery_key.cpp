// SPDX-License-Identifier: MIT
// A key from a file or from the environment.
#include "core/gallery/gallery_key.h"

#include "core/base/private_file.h"

#include <cstdlib>

namespace sphere {
namespace {

constexpr std::size_t kMaxKeyBytes = 4096;

/// Null where it is not set or empty.
const char *variable(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr && value[0] != '\0' ? value : nullptr;
}

Result<std::string> read_key_file(const std::string &path) {
    const auto key_error = [](Errc code, const std::string &what) {
        return fail(code, kGalleryKeyFileVariable, ": key file ", what);
    };
    auto key = read_private_file(path, kMaxKeyBytes + 2); // a line's end does not count
    if (!key)
        return key_error(key.error().code, key.error().message);
    while (!key->empty() && (key->back() == '\n' || key->back() == '\r'))
        key->pop_back();
    if (key->empty() || key->size() > kMaxKeyBytes)
        return key_error(Errc::InvalidArgument,
                         path + (key->empty() ? " is empty" : " is larger than a key can be"));
    return key;
}

} // namespace

Result<std::optional<std::string>> gallery_key() {
    using Key = std::optional<std::string>;
    if (const char *path = variable(kGalleryKeyFileVariable)) {
        auto key = read_key_file(path);
        return key ? Result<Key>(std::move(*key)) : Result<Key>(std::move(key).error());
    }
    const char *value = variable(kGalleryKeyVariable);
    return value != nullptr ? Key(value) : Key();
}

bool galleries_are_encrypted() {
    return variable(kGalleryKeyFileVariable) != nullptr ||
           variable(kGalleryKeyVariable) != nullptr;
}

} // namespace sphere
