// SPDX-License-Identifier: MIT
// JSON lines by plain writes: each record is with the operating system before send() returns,
// so that a process that is killed leaves whole lines.
#include "core/publish/file_destination.h"

#include "core/publish/write_signals.h"

#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

Error write_error(const std::string &location, int number) {
    const std::string what = "publish to " + location + ": ";
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return fail(Errc::NoSpace, what, std::strerror(number),
                    "; the record was not written. Make room: the next one starts a new line");
    case EPIPE:
        return fail(Errc::Io, what, "the program that read the records has ended");
    default:
        return fail(Errc::Io, what, std::strerror(number));
    }
}

Error open_error(const std::string &location, int number) {
    const std::string what = "publish to " + location + ": ";
    const std::string directory = std::filesystem::path(location).parent_path().string();
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return fail(Errc::NotFound, what, "there is no directory ", directory,
                    ": make it with mkdir -p, or name another place");
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
        return fail(Errc::Permission, what, std::strerror(number),
                    ": check the permissions of the file and its directory");
    case EISDIR:
        return fail(Errc::InvalidArgument, what, "it is a directory: name a file in it");
    case ENAMETOOLONG:
    case ELOOP:
        return fail(Errc::InvalidArgument, what, std::strerror(number));
    default:
        return write_error(location, number);
    }
}

class FileDestination final : public Destination {
  public:
    FileDestination(int fd, bool own_file, PublishLocation location,
                    const RotateOptions &rotate)
        : fd_(fd), own_file_(own_file), location_(std::move(location)),
          rotate_(own_file ? rotate : RotateOptions{}) {}
    FileDestination(const FileDestination &) = delete;
    FileDestination &operator=(const FileDestination &) = delete;
    ~FileDestination() override { close(fd_); }

    Result<void> send(std::span<const Message> batch, std::size_t &delivered) override;

  private:
    bool wait_until_writable() const;
    Result<void> write_all(const std::string &bytes);
    Result<void> rotate_for(std::size_t bytes);
    void take_back(std::size_t written);

    int fd_;
    bool own_file_; ///< a regular file that we opened: a half-written record can be cut off
    PublishLocation location_;
    RotateOptions rotate_;
    std::chrono::steady_clock::time_point opened_ = std::chrono::steady_clock::now();
    std::string line_;         ///< kept for its memory
    bool broken_line_ = false; ///< the last byte written is not a line's end
    std::int64_t bytes_ = 0;   ///< of whole records in our own file
};

/// For a stdout that somebody set to non-blocking.
bool FileDestination::wait_until_writable() const {
    pollfd waiting{fd_, POLLOUT, 0};
    return poll(&waiting, 1, -1) >= 0 || errno == EINTR;
}

/// What a failed write left of a record goes, so that every line in the file is whole. Not
/// where somebody else writes to the same file, or where it cannot be cut: there the next
/// record starts a new line.
void FileDestination::take_back(std::size_t written) {
    if (written == 0)
        return;
    struct stat info {};
    if (own_file_ && fstat(fd_, &info) == 0 &&
        info.st_size == bytes_ + static_cast<std::int64_t>(written) &&
        ftruncate(fd_, bytes_) == 0)
        return;
    bytes_ += static_cast<std::int64_t>(written);
    broken_line_ = true;
}

Result<void> FileDestination::write_all(const std::string &bytes) {
    const WriteSignalsBlocked blocked;
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = write(fd_, bytes.data() + done, bytes.size() - done);
        if (count > 0) {
            done += static_cast<std::size_t>(count);
            continue;
        }
        const int number = count == 0 ? EIO : errno;
        if (number == EINTR)
            continue;
        if ((number == EAGAIN || number == EWOULDBLOCK) && wait_until_writable())
            continue;
        take_back(done);
        return write_error(location_.shown, number);
    }
    bytes_ += static_cast<std::int64_t>(bytes.size());
    broken_line_ = false;
    return {};
}

/// FILE.1 becomes FILE.2 and so on; the oldest goes. The renames are what other log rotators
/// do, so that readers that follow such files follow ours.
void shift_old_files(const std::string &path, unsigned keep) {
    std::error_code ignored; // one that is not there
    const auto numbered = [&path](unsigned number) {
        return number == 0 ? path : path + "." + std::to_string(number);
    };
    if (keep == 0)
        std::filesystem::remove(path, ignored);
    for (unsigned number = keep; number > 0; --number)
        std::filesystem::rename(numbered(number - 1), numbered(number), ignored);
}

Result<int> open_file(const std::string &path) {
    // O_APPEND: a file that is cut while we write (log rotation) goes on from its new end.
    const int fd = open(path.c_str(),
                        O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return open_error(path, errno);
    return fd;
}

/// A new file where the one at hand would become too large, or is old.
Result<void> FileDestination::rotate_for(std::size_t bytes) {
    const auto end = static_cast<std::uint64_t>(bytes_) + bytes;
    const bool large = rotate_.bytes > 0 && bytes_ > 0 && end > rotate_.bytes;
    const bool old =
        rotate_.interval_s > 0 && bytes_ > 0 &&
        std::chrono::steady_clock::now() - opened_ >= std::chrono::seconds(rotate_.interval_s);
    if (!large && !old)
        return {};
    shift_old_files(location_.path, rotate_.keep);
    const auto fd = open_file(location_.path);
    if (!fd)
        return fd.error();
    close(fd_);
    fd_ = *fd;
    bytes_ = 0;
    broken_line_ = false;
    opened_ = std::chrono::steady_clock::now();
    return {};
}

Result<void> FileDestination::send(std::span<const Message> batch, std::size_t &delivered) {
    for (delivered = 0; delivered < batch.size(); ++delivered) {
        SPHERE_TRY(rotate_for(batch[delivered].line.size() + 1));
        line_.clear();
        if (broken_line_)
            line_ += '\n';
        line_ += batch[delivered].line;
        line_ += '\n';
        SPHERE_TRY(write_all(line_));
    }
    return {};
}

} // namespace

Result<std::unique_ptr<Destination>> make_file_destination(const PublishLocation &location,
                                                           const PublishOptions &options) {
    std::error_code ignored;
    if (options.rotate.enabled() && std::filesystem::is_regular_file(location.path, ignored))
        shift_old_files(location.path, options.rotate.keep);
    const auto fd = open_file(location.path);
    if (!fd)
        return fd.error();
    struct stat info {};
    const bool regular = fstat(*fd, &info) == 0 && S_ISREG(info.st_mode);
    return std::unique_ptr<Destination>(
        new FileDestination(*fd, regular, location, options.rotate));
}

Result<std::unique_ptr<Destination>> make_stdout_destination(const PublishLocation &location,
                                                             const PublishOptions &) {
    const int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return fail(Errc::InvalidArgument, "publish to -: stdout is closed (",
                    std::strerror(errno), "): name a file");
    return std::unique_ptr<Destination>(new FileDestination(fd, false, location, {}));
}

} // namespace sphere
