// SPDX-License-Identifier: MIT
#include "pipelines/camera/recording_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <sys/stat.h>
#include <vector>

namespace sphere::camera {
namespace {

namespace fs = std::filesystem;

struct Recording {
    fs::path path;
    std::uint64_t bytes = 0;
};

// Ours begin with a date: eight digits and a T.
bool is_recording(const fs::path &path) {
    const std::string name = path.filename().string();
    const std::string extension = path.extension().string();
    return (extension == ".mp4" || extension == ".jsonl") && name.size() > 9 &&
           std::all_of(name.begin(), name.begin() + 8,
                       [](unsigned char c) { return std::isdigit(c) != 0; }) &&
           name[8] == 'T';
}

// Oldest first: names are times.
std::vector<Recording> recordings_in(const std::string &folder) {
    std::vector<Recording> recordings;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(folder, error)) {
        std::error_code ignored;
        if (!entry.is_regular_file(ignored) || !is_recording(entry.path()))
            continue;
        const auto bytes = entry.file_size(ignored);
        recordings.push_back({entry.path(), ignored ? 0 : bytes});
    }
    std::sort(recordings.begin(), recordings.end(),
              [](const Recording &a, const Recording &b) { return a.path < b.path; });
    return recordings;
}

std::uint64_t sum_of(const std::vector<Recording> &recordings) {
    std::uint64_t sum = 0;
    for (const Recording &recording : recordings)
        sum += recording.bytes;
    return sum;
}

std::uint64_t free_bytes(const std::string &folder) {
    std::error_code error;
    const fs::space_info space = fs::space(folder, error);
    return error ? 0 : space.available;
}

} // namespace

Result<void> make_recording_folder(const std::string &folder) {
    std::error_code error;
    const fs::path path(folder);
    if (path.has_parent_path())
        fs::create_directories(path.parent_path(), error);
    if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST)
        return {};
    const Errc code = errno == ENOSPC                     ? Errc::NoSpace
                      : errno == EACCES || errno == EROFS ? Errc::Permission
                                                          : Errc::Io;
    return fail(code, "recordings cannot go to ", folder, ": ", std::strerror(errno));
}

std::string new_recording_path(const std::string &folder, std::int64_t unix_ms) {
    const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> text{};
    const std::size_t n = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%S", &utc);
    std::array<char, 8> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(unix_ms % 1000));
    const std::string base = folder + "/" + std::string(text.data(), n) + fraction.data();
    std::string path = base;
    for (int i = 2; fs::exists(path + ".mp4") || fs::exists(path + ".jsonl"); ++i)
        path = base + "-" + std::to_string(i);
    return path;
}

std::uint64_t recorded_bytes(const std::string &folder) {
    return sum_of(recordings_in(folder));
}

Result<void> make_recording_room(const std::string &folder, std::uint64_t most_bytes,
                                 std::uint64_t min_free_bytes, const std::string &open_file) {
    const std::vector<Recording> recordings = recordings_in(folder);
    std::uint64_t sum = sum_of(recordings);
    const fs::path open_stem = fs::path(open_file).stem();
    for (const Recording &recording : recordings) {
        if (sum <= most_bytes && free_bytes(folder) >= min_free_bytes)
            return {};
        if (!open_file.empty() && recording.path.stem() == open_stem)
            continue;
        std::error_code error;
        if (fs::remove(recording.path, error))
            sum -= recording.bytes;
    }
    if (sum > most_bytes)
        return fail(Errc::NoSpace, "one recording alone is larger than max_bytes=", most_bytes,
                    ": raise it, or lower max_segment_ms");
    if (const std::uint64_t left = free_bytes(folder); left < min_free_bytes)
        return fail(Errc::NoSpace, "the disk is full: ", left, " bytes are free at ", folder,
                    ", min_free_bytes is ", min_free_bytes);
    return {};
}

} // namespace sphere::camera
