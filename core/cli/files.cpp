// SPDX-License-Identifier: MIT
// Files and folders.
#include "core/cli/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere::cli {
namespace {

constexpr std::string_view kPictureExtensions[] = {
    ".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pnm", ".ppm", ".pgm"};

bool has_picture_extension(const std::string &path) {
    std::string extension = std::filesystem::path(path).extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return std::find(std::begin(kPictureExtensions), std::end(kPictureExtensions), extension) !=
           std::end(kPictureExtensions);
}

Error system_error(int error, std::string_view doing, const std::string &path) {
    Errc code = Errc::Io;
    const char *remedy = "";
    if (error == ENOENT || error == ENOTDIR) {
        code = Errc::NotFound;
        remedy = "; check the path";
    } else if (error == EACCES || error == EPERM || error == EROFS) {
        code = Errc::Permission;
        remedy = "; check its permissions";
    } else if (error == ENOSPC || error == EDQUOT) {
        code = Errc::NoSpace;
        remedy = "; free some space";
    } else if (error == EISDIR) {
        code = Errc::InvalidArgument;
    }
    return fail(code, std::string(doing), " ", path, ": ", std::strerror(error), remedy);
}

struct CloseFile {
    void operator()(std::FILE *file) const { std::fclose(file); }
};

} // namespace

bool is_directory(const std::string &path) {
    std::error_code error;
    return std::filesystem::is_directory(path, error);
}

Result<Listing> list_folder(const std::string &path) {
    std::error_code error;
    std::filesystem::directory_iterator it(path, error);
    Listing listing;
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
        const std::string entry = it->path().string();
        if (base_name(entry).starts_with("."))
            continue;
        if (is_directory(entry))
            listing.folders.push_back(entry);
        else if (has_picture_extension(entry))
            listing.pictures.push_back(entry);
        else
            listing.others.push_back(entry);
    }
    if (error)
        return system_error(error.value(), "cannot read folder", path);
    std::sort(listing.folders.begin(), listing.folders.end());
    std::sort(listing.pictures.begin(), listing.pictures.end());
    std::sort(listing.others.begin(), listing.others.end());
    return listing;
}

std::string base_name(const std::string &path) {
    const std::size_t end = path.find_last_not_of('/');
    if (end == std::string::npos)
        return path;
    const std::size_t slash = path.find_last_of('/', end);
    const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
    return path.substr(start, end + 1 - start);
}

Result<std::string> read_text(const std::string &path, std::size_t max_bytes) {
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
    if (!file)
        return system_error(errno, "cannot read", path);
    std::string text;
    char buffer[1 << 16];
    for (;;) {
        errno = 0;
        const std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get());
        text.append(buffer, got);
        if (text.size() > max_bytes)
            return fail(Errc::Corrupt, path, ": larger than the ", max_bytes,
                        " bytes that are read of such a file; is it the right one?");
        if (got == sizeof buffer)
            continue;
        if (std::ferror(file.get()) != 0)
            return system_error(errno, "cannot read", path);
        return text;
    }
}

Result<void> write_whole(const std::string &path, std::string_view bytes) {
    if (is_directory(path))
        return system_error(EISDIR, "cannot write", path);
    std::string temporary = path + ".XXXXXX";
    const int fd = mkstemp(temporary.data());
    if (fd < 0)
        return system_error(errno, "cannot write", path);
    const mode_t mask = umask(0); // mkstemp's 0600 is for secrets; this is an ordinary file
    umask(mask);
    bool written = fchmod(fd, 0666 & ~mask) == 0;
    int error = errno;
    while (written && !bytes.empty()) {
        const ssize_t n = write(fd, bytes.data(), bytes.size());
        error = errno;
        if (n < 0 && error == EINTR)
            continue;
        written = n >= 0;
        if (written)
            bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    if (close(fd) != 0 && written) {
        error = errno;
        written = false;
    }
    if (written && std::rename(temporary.c_str(), path.c_str()) == 0)
        return {};
    if (written)
        error = errno;
    unlink(temporary.c_str());
    return system_error(error, "cannot write", path);
}

} // namespace sphere::cli
