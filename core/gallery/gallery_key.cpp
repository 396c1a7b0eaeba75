// SPDX-License-Identifier: MIT
// A key from a file or from the environment.
#include "core/gallery/gallery_key.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

constexpr std::size_t kMaxKeyBytes = 4096;

/// Null where it is not set or empty.
const char *variable(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr && value[0] != '\0' ? value : nullptr;
}

Error key_error(Errc code, const std::string &path, const std::string &what) {
    return fail(code, kGalleryKeyFileVariable, ": key file ", path, " ", what);
}

Result<std::string> read_key_file(const std::string &path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return key_error(errno == EACCES ? Errc::Permission : Errc::NotFound, path,
                         std::string("cannot be read: ") + std::strerror(errno));
    struct stat status {};
    std::string key(kMaxKeyBytes + 1, '\0');
    const bool known = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    const ssize_t size = known ? read(file, key.data(), key.size()) : -1;
    close(file);
    if (size < 0)
        return key_error(Errc::InvalidArgument, path, "is not a file");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return key_error(Errc::Permission, path, "may be used by others: chmod 600 it");
    key.resize(static_cast<std::size_t>(size));
    while (!key.empty() && (key.back() == '\n' || key.back() == '\r'))
        key.pop_back();
    if (key.empty() || key.size() > kMaxKeyBytes)
        return key_error(Errc::InvalidArgument, path,
                         key.empty() ? "is empty" : "is larger than a key can be");
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
