// SPDX-License-Identifier: MIT
#include "core/model/paths.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>

namespace sphere {

std::string xdg_directory(const char *variable, const char *under_home) {
    if (const char *value = std::getenv(variable); value != nullptr && value[0] == '/')
        return value;
    if (const char *home = std::getenv("HOME"); home != nullptr && home[0] == '/')
        return std::string(home) + "/" + under_home;
    return {};
}

bool make_directories(const std::string &path, mode_t mode) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
            // A parent may be unwritable, or on a read-only file system, and yet exist.
            const int error = errno;
            struct stat st {};
            if (::stat(part.c_str(), &st) != 0) {
                errno = error;
                return false;
            }
        }
        if (end == std::string::npos)
            break;
    }
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0)
        return false;
    errno = ENOTDIR;
    return S_ISDIR(st.st_mode);
}

std::string absolute_path(const std::string &path) {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(path, error);
    return error ? path : absolute.lexically_normal().string();
}

std::string directory_of(const std::string &path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_regular_file(const std::string &path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

long long file_size(const std::string &path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode)
               ? static_cast<long long>(st.st_size)
               : -1;
}

} // namespace sphere
