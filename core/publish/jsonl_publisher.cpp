// SPDX-License-Identifier: MIT
// JSON lines by plain writes: each record is with the operating system before publish()
// returns, so that a process that is killed leaves whole lines.
#include "core/publish/jsonl_publisher.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

/// While it lives, SIGPIPE (the reader has gone) and SIGXFSZ (the file may grow no more) of
/// this thread's writes do not end the process: write() then fails with EPIPE and EFBIG. A
/// library may not change what the process does on signals elsewhere.
class WriteSignalsBlocked {
  public:
    WriteSignalsBlocked() {
        sigemptyset(&ours_);
        sigaddset(&ours_, SIGPIPE);
        sigaddset(&ours_, SIGXFSZ);
        sigset_t pending;
        sigpending(&pending);
        // One that was pending before is not ours to take.
        for (const int number : {SIGPIPE, SIGXFSZ})
            if (sigismember(&pending, number) == 1)
                sigdelset(&ours_, number);
        pthread_sigmask(SIG_BLOCK, &ours_, &before_);
    }
    ~WriteSignalsBlocked() {
        const int number = errno;
        const timespec at_once{};
        while (sigtimedwait(&ours_, nullptr, &at_once) > 0 || errno == EINTR) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = number;
    }
    WriteSignalsBlocked(const WriteSignalsBlocked &) = delete;
    WriteSignalsBlocked &operator=(const WriteSignalsBlocked &) = delete;

  private:
    sigset_t ours_{};
    sigset_t before_{};
};

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

class JsonlPublisher final : public Publisher {
  public:
    JsonlPublisher(int fd, bool own_file, const PublishOptions &options)
        : fd_(fd), own_file_(own_file), options_(options) {}
    JsonlPublisher(const JsonlPublisher &) = delete;
    JsonlPublisher &operator=(const JsonlPublisher &) = delete;
    ~JsonlPublisher() override { close(fd_); }

    Result<void> publish(const FrameRecord &record) override;
    Result<void> flush() override { return {}; } // nothing is kept back

  private:
    bool wait_until_writable() const;
    Result<void> write_all(const std::string &bytes);
    void take_back(std::size_t written);

    int fd_;
    bool own_file_; ///< a regular file that we opened: a half-written record can be cut off
    PublishOptions options_;
    std::string line_;         ///< kept for its memory
    bool broken_line_ = false; ///< the last byte written is not a line's end
    std::int64_t bytes_ = 0;   ///< of whole records in our own file
};

/// For a stdout that somebody set to non-blocking.
bool JsonlPublisher::wait_until_writable() const {
    pollfd waiting{fd_, POLLOUT, 0};
    return poll(&waiting, 1, -1) >= 0 || errno == EINTR;
}

/// What a failed write left of a record goes, so that every line in the file is whole. Not
/// where somebody else writes to the same file, or where it cannot be cut: there the next
/// record starts a new line.
void JsonlPublisher::take_back(std::size_t written) {
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

Result<void> JsonlPublisher::write_all(const std::string &bytes) {
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
        return write_error(options_.location, number);
    }
    bytes_ += static_cast<std::int64_t>(bytes.size());
    broken_line_ = false;
    return {};
}

Result<void> JsonlPublisher::publish(const FrameRecord &record) {
    line_.clear();
    if (broken_line_)
        line_ += '\n';
    append_json_line(line_, record, options_.embeddings);
    line_ += '\n';
    return write_all(line_);
}

Result<int> open_stdout() {
    const int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return fail(Errc::InvalidArgument, "publish to -: stdout is closed (",
                    std::strerror(errno), "): name a file");
    return fd;
}

} // namespace

Result<std::unique_ptr<Publisher>> make_jsonl_publisher(const PublishOptions &options) {
    const std::string &location = options.location;
    if (location.empty() || location.find('\0') != std::string::npos)
        return fail(Errc::InvalidArgument,
                    "publish: the location is empty: give a path, or \"-\" for stdout");
    if (location == "-") {
        const auto fd = open_stdout();
        if (!fd)
            return fd.error();
        return std::unique_ptr<Publisher>(new JsonlPublisher(*fd, false, options));
    }
    // O_APPEND: a file that is cut while we write (log rotation) goes on from its new end.
    const int fd = open(location.c_str(),
                        O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return open_error(location, errno);
    struct stat info {};
    const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    return std::unique_ptr<Publisher>(new JsonlPublisher(fd, regular, options));
}

} // namespace sphere
