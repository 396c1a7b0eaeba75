// SPDX-License-Identifier: MIT
#include "core/base/private_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace sphere {
namespace {

Error read_error(const std::string &path, int number) {
    const Errc code = number == ENOENT || number == ENOTDIR ? Errc::NotFound
                      : number == EACCES || number == EPERM ? Errc::Permission
                                                            : Errc::Io;
    return fail(code, path, " cannot be read: ", std::strerror(number));
}

Result<SmallFile> read_open_file(int fd, const std::string &path, std::size_t most_bytes) {
    struct stat info {};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return fail(Errc::InvalidArgument, path, " is not a file");
    SmallFile file;
    file.others_may_use = (info.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    file.text.resize(most_bytes + 1);
    std::size_t size = 0;
    while (size < file.text.size()) {
        const ssize_t count = read(fd, file.text.data() + size, file.text.size() - size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return read_error(path, errno);
        if (count == 0)
            break;
        size += static_cast<std::size_t>(count);
    }
    if (size > most_bytes)
        return fail(Errc::InvalidArgument, path, " is larger than ", most_bytes, " bytes");
    file.text.resize(size);
    return file;
}

} // namespace

Result<SmallFile> read_small_file(const std::string &path, std::size_t most_bytes) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return read_error(path, errno);
    auto file = read_open_file(fd, path, most_bytes);
    close(fd);
    return file;
}

Result<std::string> read_private_file(const std::string &path, std::size_t most_bytes) {
    auto file = read_small_file(path, most_bytes);
    if (!file)
        return std::move(file).error();
    if (file->others_may_use)
        return fail(Errc::Permission, path, " may be used by others: chmod 600 it");
    return std::move(file->text);
}

} // namespace sphere
