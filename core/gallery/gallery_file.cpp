// SPDX-License-Identifier: MIT
// Files of galleries.
#include "core/gallery/gallery_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

/// The Error for `path` after a system call failed.
Error system_error(const std::string &path, int number) {
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return fail(Errc::NotFound, "gallery ", path, ": there is no directory ",
                    std::filesystem::path(path).parent_path().string(),
                    ": make it with mkdir -p, then: spherectl enrol --gallery ", path,
                    " --id NAME IMAGE...");
    case EACCES:
    case EPERM:
    case EROFS:
        return fail(Errc::Permission, "gallery ", path, ": ", std::strerror(number),
                    ": check the permissions of the file and its directory");
    case ENOSPC:
    case EDQUOT:
        return fail(Errc::NoSpace, "gallery ", path, ": ", std::strerror(number),
                    ": make room and try again");
    default:
        return fail(Errc::Io, "gallery ", path, ": ", std::strerror(number));
    }
}

/// A new name is safe against a power cut once its directory is on disk. Not every file system
/// can.
void sync_directory(const std::string &path) {
    const std::string directory = std::filesystem::path(path).parent_path().string();
    const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

} // namespace

std::string absolute_gallery_path(const std::string &path) {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(path, error);
    return error ? "./" + path : absolute.lexically_normal().string();
}

Error missing_gallery(const std::string &path) {
    return fail(Errc::NotFound, "there is no gallery ", path,
                ": make it with: spherectl enrol --gallery ", path, " --id NAME IMAGE...");
}

Result<bool> find_gallery_file(const std::string &path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
        if (errno == ENOENT)
            return false;
        return system_error(path, errno);
    }
    if (S_ISDIR(info.st_mode)) {
        std::string name = path;
        while (name.size() > 1 && name.back() == '/')
            name.pop_back();
        return fail(Errc::NotFound, name,
                    " is a directory, not a gallery: make a gallery of its photographs (a "
                    "sub-folder a person) with: spherectl enrol --gallery ",
                    name, ".gallery ", name);
    }
    if (!S_ISREG(info.st_mode))
        return fail(Errc::Corrupt, path, " is not a gallery: it is not a regular file");
    // SQLite takes a file of one byte for an empty one, and would write over it.
    if (info.st_size == 1)
        return fail(Errc::Corrupt, path,
                    " is not a gallery: name a file that spherectl enrol made");
    if (faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0)
        return system_error(path, errno);
    return true;
}

Result<void> make_gallery_file(const std::string &path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        struct stat info {};
        if (errno == EEXIST && stat(path.c_str(), &info) == 0)
            return {};
        if (errno == ENOENT && lstat(path.c_str(), &info) == 0)
            return fail(Errc::NotFound, "gallery ", path,
                        " is a symbolic link to a file that does not exist: remove the link");
        return system_error(path, errno);
    }
    const bool mode_set = fchmod(fd, 0600) == 0;
    const int number = errno;
    close(fd);
    if (!mode_set)
        return system_error(path, number);
    sync_directory(path);
    return {};
}

GalleryFileIdentity identify_gallery_file(const std::string &path, bool contents) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0)
        return {};
    GalleryFileIdentity identity;
    identity.device = info.st_dev;
    identity.inode = info.st_ino;
    if (contents) {
        identity.bytes = info.st_size;
        identity.mtime_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
        if (stat((path + "-wal").c_str(), &info) == 0)
            identity.wal_bytes = info.st_size;
    }
    return identity;
}

} // namespace sphere
