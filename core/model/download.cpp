// SPDX-License-Identifier: MIT
// npm, tar and curl as child processes. Their arguments never pass a shell, and come from
// checked descriptors (descriptor_check.cpp): none can be taken for an option.
#include "core/model/download.h"

#include "core/model/paths.h"
#include "core/model/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/statvfs.h>
#include <unistd.h>

namespace sphere {
namespace {

constexpr const char *kTemporaryPrefix = ".fetch-";
constexpr std::uint64_t kSpareBytes = 16ULL << 20;

bool holds(const std::string &text, std::initializer_list<const char *> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](const char *word) { return text.find(word) != std::string::npos; });
}

/// The last line that says something, without control characters, for an error message.
std::string last_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
        text.pop_back();
    text = text.substr(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
    std::string clean;
    for (const char c : text.substr(0, 300))
        clean += c < 0x20 || c == 0x7f ? '?' : c;
    return clean.empty() ? "it said nothing" : clean;
}

/// npm's messages are many lines; the code tells most.
Error npm_error(const std::string &spec, const ProcessResult &result) {
    const std::string &said = result.errors;
    if (holds(said, {"ENOSPC"}))
        return fail(Errc::NoSpace, "no space left while npm fetched ", spec);
    if (holds(said, {"E404", "ETARGET", "ENOVERSIONS"}))
        return fail(Errc::NotFound, "npm knows no ", spec,
                    " (its registry may be a mirror without it)");
    if (holds(said, {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT",
                     "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET", "network"}))
        return fail(Errc::Io, "npm cannot reach its registry for ", spec,
                    ": check the network, or npm's proxy settings (", last_line(said), ")");
    return fail(Errc::Io, "npm pack ", spec, " failed with exit status ", result.exit_code,
                ": ", last_line(said));
}

Error curl_error(const std::string &url, const ProcessResult &result) {
    const std::string said = last_line(result.errors);
    switch (result.exit_code) { // curl(1), EXIT CODES
    case 5:
    case 6:
    case 7:
    case 28:
    case 35:
    case 52:
    case 56:
        return fail(Errc::Io, "cannot reach ", url, ": check the network or the proxy (", said,
                    ")");
    case 22:
        return fail(Errc::NotFound, url, " does not have the file any more (", said, ")");
    case 23:
        return fail(Errc::NoSpace, "cannot write what comes from ", url,
                    ": is the disk full? (", said, ")");
    case 63:
        return fail(Errc::Corrupt, url, " holds a larger file than it should");
    default:
        return fail(Errc::Io, "curl ", url, " failed with exit status ", result.exit_code, ": ",
                    said);
    }
}

Error missing_program(const char *program, const char *package, const Error &error) {
    if (error.code != Errc::NotFound)
        return error;
    return fail(
        Errc::Unsupported, program,
        " is needed to fetch this model and is not installed; install it (Debian: apt install ",
        package, ") or put the file in place by hand");
}

std::uint64_t size_or_zero(const std::string &path) {
    return static_cast<std::uint64_t>(std::max(file_size(path), 0LL));
}

/// The tar ball in `directory`: the only .tgz. Empty if there is none.
std::string tar_ball(const std::string &directory) {
    std::error_code error;
    std::filesystem::directory_iterator it(directory, error);
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error))
        if (it->path().extension() == ".tgz")
            return it->path().string();
    return {};
}

} // namespace

Download::~Download() {
    for (const auto &item : temporaries_) {
        std::error_code ignored;
        std::filesystem::remove_all(item.second, ignored);
    }
}

Result<void> Download::clean() const {
    std::error_code error;
    std::filesystem::directory_iterator it(directory_, error);
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
        std::error_code ignored;
        if (it->path().filename().string().rfind(kTemporaryPrefix, 0) == 0 &&
            it->is_directory(ignored) && !it->is_symlink(ignored))
            std::filesystem::remove_all(it->path(), ignored);
    }
    if (error)
        return fail(Errc::Io, "cannot read ", directory_, ": ", error.message());
    return {};
}

Result<void> Download::check_space(std::uint64_t bytes) const {
    struct statvfs fs {};
    if (::statvfs(directory_.c_str(), &fs) != 0)
        return {}; // the write itself will tell
    const std::uint64_t free_bytes = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
    if (free_bytes >= bytes + kSpareBytes)
        return {};
    return fail(Errc::NoSpace, directory_, " has ", free_bytes >> 20, " MiB free, ",
                (bytes + kSpareBytes) >> 20,
                " are needed: make room or choose another directory");
}

Result<std::string> Download::pack(const std::string &spec, const DownloadWatch &watch) {
    if (const auto known = packs_.find(spec); known != packs_.end())
        return known->second;
    std::string temporary = directory_ + "/" + kTemporaryPrefix + "XXXXXX";
    if (::mkdtemp(temporary.data()) == nullptr) // mode 0700
        return fail(errno == ENOSPC ? Errc::NoSpace : Errc::Permission,
                    "cannot make a directory in ", directory_, ": ", std::strerror(errno));
    if (!temporaries_.emplace(spec, temporary).second) {
        ::rmdir(temporary.c_str());
        return fail(Errc::Io, "npm pack ", spec,
                    " failed before"); // told in full the first time
    }
    ProcessOptions npm;
    npm.argv = {"npm",       "pack",       "--ignore-scripts", "--no-update-notifier",
                "--no-fund", "--no-audit", "--loglevel=error", spec};
    npm.directory = temporary;
    npm.tick = [&watch] {
        watch(0); // npm tells nothing of its progress
        return true;
    };
    const auto result = run_process(npm);
    if (!result)
        return missing_program("npm", "npm", result.error());
    if (result->exit_code != 0)
        return npm_error(spec, *result);
    std::string ball = tar_ball(temporary);
    if (ball.empty())
        return fail(Errc::Io, "npm pack ", spec,
                    " left no tar ball: ", last_line(result->errors));
    packs_.emplace(spec, ball);
    return ball;
}

Result<void> Download::npm_member(const std::string &spec, const std::string &member,
                                  const std::string &part, std::uint64_t max_bytes,
                                  const DownloadWatch &watch) {
    auto ball = pack(spec, watch);
    if (!ball)
        return ball.error();
    ::unlink(part.c_str());
    // Through our own file descriptor: a link or a path inside the archive cannot lead
    // elsewhere.
    const int fd =
        ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(errno == ENOSPC ? Errc::NoSpace : Errc::Io, "cannot write ", part, ": ",
                    std::strerror(errno));
    ProcessOptions tar;
    tar.argv = {"tar", "-xzOf", *ball, "--", member};
    tar.stdout_fd = fd;
    tar.tick = [&] {
        const std::uint64_t done = size_or_zero(part);
        watch(done);
        return done <= max_bytes;
    };
    const auto result = run_process(tar);
    const bool closed = ::close(fd) == 0;
    if (!result)
        return missing_program("tar", "tar", result.error());
    if (result->killed)
        return fail(Errc::Corrupt, spec, ": ", member, " is larger than it should be");
    if (holds(result->errors, {"No space left"}) || !closed)
        return fail(Errc::NoSpace, "no space left while unpacking ", spec, " into ",
                    directory_);
    if (result->exit_code != 0)
        return fail(holds(result->errors, {"Not found in archive"}) ? Errc::NotFound
                                                                    : Errc::Corrupt,
                    spec, " has no readable ", member, ": ", last_line(result->errors));
    return {};
}

Result<void> Download::https(const std::string &url, const std::string &part,
                             std::uint64_t bytes, const DownloadWatch &watch) const {
    if (size_or_zero(part) > bytes)
        ::unlink(part.c_str());
    if (bytes != 0 && size_or_zero(part) == bytes)
        return {}; // whole since the last try; curl would fail to continue it
    ProcessOptions curl;
    curl.argv = {"curl",
                 "--fail",
                 "--location",
                 "--silent",
                 "--show-error",
                 "--proto",
                 "=https",
                 "--proto-redir",
                 "=https",
                 "--continue-at",
                 "-",
                 "--connect-timeout",
                 "30",
                 "--speed-limit",
                 "1",
                 "--speed-time",
                 "60",
                 "--max-filesize",
                 std::to_string(bytes),
                 "--output",
                 part,
                 "--url",
                 url};
    curl.tick = [&] {
        const std::uint64_t done = size_or_zero(part);
        watch(done);
        return done <= bytes;
    };
    const bool resumes = size_or_zero(part) > 0;
    auto result = run_process(curl);
    constexpr int kRangeError = 33;
    constexpr int kBadResume = 36;
    if (result && resumes &&
        (result->exit_code == kRangeError || result->exit_code == kBadResume)) {
        ::unlink(part.c_str()); // the server cannot continue: from the start
        result = run_process(curl);
    }
    if (!result)
        return missing_program("curl", "curl", result.error());
    if (result->killed)
        return fail(Errc::Corrupt, url, " holds a larger file than it should");
    if (result->exit_code != 0)
        return curl_error(url, *result);
    return {};
}

} // namespace sphere
