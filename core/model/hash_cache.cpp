// SPDX-License-Identifier: MIT
// The sha256 cache: one JSON object of path to {device, inode, size, mtime, ctime, sha256}.
// Writers take a lock file, merge and rename; readers see an old or a new whole file and need
// no lock.
#include "core/model/hash_cache.h"

#include "core/base/sha256.h"
#include "core/model/paths.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxCacheBytes = 1024 * 1024;
constexpr std::size_t kMaxEntries = 1024;
constexpr std::int64_t kRacyNs = 2'000'000'000; ///< coarsest mtime of common file systems (FAT)

std::int64_t nanoseconds(const timespec &t) {
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

/// What must be the same for a remembered hash to hold.
struct FileState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    bool operator==(const FileState &) const = default;
};

std::optional<FileState> state_of(const std::string &path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0)
        return std::nullopt;
    return FileState{st.st_dev, st.st_ino, st.st_size, nanoseconds(st.st_mtim),
                     nanoseconds(st.st_ctim)};
}

/// A file changed within the clock's grain can change again unseen; its hash is not remembered
/// yet.
bool settled(const FileState &state) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now) - std::max(state.mtime_ns, state.ctime_ns) > kRacyNs;
}

json to_json(const FileState &s, const std::string &sha256) {
    return {{"device", s.device},     {"inode", s.inode},       {"size", s.size},
            {"mtime_ns", s.mtime_ns}, {"ctime_ns", s.ctime_ns}, {"sha256", sha256}};
}

bool is_sha256(const std::string &text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The cache as a JSON object; empty where it is absent, too large, damaged, or writable by
/// others (who could vouch for a forged model).
json read_cache(const std::string &path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return json::object();
    struct stat st {};
    std::string text;
    if (::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == ::geteuid() &&
        (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
        static_cast<std::size_t>(st.st_size) <= kMaxCacheBytes) {
        std::array<char, 16384> buffer{};
        ssize_t got = 0;
        while (text.size() <= kMaxCacheBytes &&
               ((got = ::read(fd, buffer.data(), buffer.size())) > 0 ||
                (got < 0 && errno == EINTR)))
            text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    ::close(fd);
    json tree = json::parse(text, nullptr, false);
    return tree.is_object() && tree.size() <= kMaxEntries ? tree : json::object();
}

std::optional<std::string> look_up(const json &cache, const std::string &path,
                                   const FileState &state) {
    const auto entry = cache.find(path);
    if (entry == cache.end() || !entry->is_object())
        return std::nullopt;
    const auto sha = entry->find("sha256");
    if (sha == entry->end() || !sha->is_string() ||
        !is_sha256(sha->get_ref<const std::string &>()))
        return std::nullopt;
    const auto hash = sha->get<std::string>();
    if (*entry != to_json(state, hash))
        return std::nullopt;
    return hash;
}

bool write_all(int fd, const std::string &text) {
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno != EINTR)
            return false;
        done += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
    return true;
}

/// Adds one entry. Gives up silently: the next run hashes again.
void remember(const std::string &cache_path, const std::string &path, const FileState &state,
              const std::string &sha256) {
    const std::string folder = cache_path.substr(0, cache_path.rfind('/'));
    if (!make_directories(folder, 0700))
        return;
    const std::string lock_path = cache_path + ".lock";
    const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return;
    // flock belongs to the open file, so it holds between threads of one process too.
    while (::flock(lock, LOCK_EX) != 0 && errno == EINTR) {
    }
    json cache = read_cache(cache_path);
    for (auto it = cache.begin(); it != cache.end();)
        it = state_of(it.key()) ? std::next(it) : cache.erase(it);
    if (cache.size() >= kMaxEntries)
        cache = json::object();
    cache[path] = to_json(state, sha256);
    std::string temporary = cache_path + ".XXXXXX";
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC); // mode 0600
    if (fd >= 0) {
        const bool written =
            write_all(fd, cache.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
        if (::close(fd) != 0 || !written ||
            ::rename(temporary.c_str(), cache_path.c_str()) != 0)
            ::unlink(temporary.c_str());
    }
    ::close(lock);
}

} // namespace

std::string hash_cache_path() {
    const std::string base = xdg_directory("XDG_CACHE_HOME", ".cache");
    return base.empty() ? base : base + "/sphere/sha256.json";
}

Result<std::string> cached_sha256(const std::string &path) {
    try {
        const std::string cache_path = hash_cache_path();
        const auto before = state_of(path);
        if (before && !cache_path.empty())
            if (auto hash = look_up(read_cache(cache_path), path, *before))
                return *hash;
        auto hash = sha256_of_file(path);
        if (hash && before && !cache_path.empty() && state_of(path) == before &&
            settled(*before))
            remember(cache_path, path, *before, *hash);
        return hash;
    } catch (const std::exception &e) {
        return fail(Errc::Internal, "sha256 of ", path, ": ", e.what());
    }
}

} // namespace sphere
