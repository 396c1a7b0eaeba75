// SPDX-License-Identifier: MIT
// A line is "CHECKSUM SEQUENCE KIND JSON"; a folder holds NUMBER.spill, oldest first, a file
// "position" that says how much of the first was delivered, and a lock.
#include "core/publish/spill.h"

#include "core/base/log.h"
#include "core/base/sha256.h"
#include "core/publish/write_signals.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostSegmentBytes = std::uint64_t{8} << 20;
constexpr std::uint64_t kLeastSegmentBytes = std::uint64_t{64} << 10;
constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kChecksumDigits = 16;
constexpr std::size_t kFolderDigits = 16;
constexpr const char *kSuffix = ".spill";

/// FNV-1a, 64 bits: against torn and overwritten lines, not against forgers.
std::uint64_t checksum(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return hash;
}

std::string hexadecimal(std::uint64_t value) {
    std::array<char, kChecksumDigits + 1> digits;
    std::snprintf(digits.data(), digits.size(), "%016llx",
                  static_cast<unsigned long long>(value));
    return {digits.data(), kChecksumDigits};
}

template <typename T> bool parse_number(std::string_view text, T &value, int base) {
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc() && end == text.data() + text.size();
}

Error spill_error(const std::string &path, int number) {
    const Errc code = number == EACCES || number == EPERM || number == EROFS ? Errc::Permission
                      : number == ENOSPC || number == EDQUOT || number == EFBIG ? Errc::NoSpace
                                                                                : Errc::Io;
    return fail(code, "spill-directory: ", path, ": ", std::strerror(number),
                ": name another directory, or turn the spill off with spill-max-bytes=0");
}

} // namespace

std::optional<Message> parse_spill_line(std::string_view line) {
    // 16 digits, a space, at least one digit, a space, the kind, a space, {}.
    if (line.size() < kChecksumDigits + 7 || line.size() > kMaxRecordBytes ||
        line[kChecksumDigits] != ' ')
        return std::nullopt;
    std::uint64_t stored = 0;
    if (!parse_number(line.substr(0, kChecksumDigits), stored, 16))
        return std::nullopt;
    line.remove_prefix(kChecksumDigits + 1);
    const std::size_t space = line.find(' ');
    Message message;
    if (checksum(line) != stored || space == std::string_view::npos ||
        !parse_number(line.substr(0, space), message.sequence, 10))
        return std::nullopt;
    line.remove_prefix(space + 1);
    if (line.size() < 4 || (line[0] != 'f' && line[0] != 'e') || line[1] != ' ' ||
        line[2] != '{' || line.back() != '}' || line.find('\n') != std::string_view::npos)
        return std::nullopt;
    message.kind = line[0] == 'f' ? RecordKind::Frame : RecordKind::Event;
    message.line = line.substr(2);
    return message;
}

std::string to_spill_line(const Message &message) {
    std::string body = std::to_string(message.sequence);
    body += message.kind == RecordKind::Frame ? " f " : " e ";
    body += message.line;
    return hexadecimal(checksum(body)) + " " + body;
}

std::string default_spill_directory() {
    if (const char *state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/')
        return std::string(state) + "/sphere/spill";
    if (const char *home = std::getenv("HOME"); home != nullptr && home[0] == '/')
        return std::string(home) + "/.local/state/sphere/spill";
    return {};
}

Spill::Spill(std::string directory, std::uint64_t max_bytes)
    : directory_(std::move(directory)), max_bytes_(max_bytes),
      segment_bytes_(std::clamp(max_bytes / 8, kLeastSegmentBytes, kMostSegmentBytes)) {}

Spill::~Spill() {
    close_reader();
    for (const int fd : {write_fd_, lock_fd_})
        if (fd >= 0)
            close(fd);
}

Result<std::unique_ptr<Spill>> Spill::open(const SpillOptions &options, std::string_view name) {
    Sha256 hash;
    hash.update({reinterpret_cast<const std::uint8_t *>(name.data()), name.size()});
    const std::string folder =
        options.directory + "/" + hash.finish_hex().substr(0, kFolderDigits);
    std::error_code error;
    fs::create_directories(options.directory, error);
    // The parents are as the user's mask makes directories; ours is private.
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return spill_error(folder, error ? error.value() : errno);
    std::unique_ptr<Spill> spill(new Spill(folder, options.max_bytes));
    SPHERE_TRY(spill->lock());
    spill->load();
    return spill;
}

Result<void> Spill::lock() {
    const std::string path = directory_ + "/lock";
    lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_fd_ < 0)
        return spill_error(path, errno);
    if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
        return fail(Errc::Busy, "spill-directory: ", directory_,
                    " is in use by another stream to the same destination: give each its own "
                    "name (stream=...)");
    return {};
}

std::string Spill::path_of(std::uint64_t segment) const {
    return directory_ + "/" + hexadecimal(segment) + kSuffix;
}

void Spill::load() {
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(directory_, error)) {
        const std::string file = entry.path().filename().string();
        std::uint64_t number = 0;
        if (file.size() == kChecksumDigits + std::strlen(kSuffix) && file.ends_with(kSuffix) &&
            parse_number(std::string_view(file).substr(0, kChecksumDigits), number, 16))
            segments_[number] = {};
    }
    std::uint64_t first = 0;
    std::uint64_t offset = 0;
    std::ifstream(directory_ + "/position") >> first >> offset;
    std::vector<std::uint64_t> numbers;
    for (const auto &[number, segment] : segments_)
        numbers.push_back(number);
    for (const std::uint64_t number : numbers) {
        next_segment_ = number + 1;
        scan(number, number == first ? offset : 0);
    }
    if (!segments_.empty() && segments_.begin()->first == first)
        read_offset_ = popped_offset_ = offset;
}

/// Counts what a segment holds; one without records goes.
void Spill::scan(std::uint64_t number, std::uint64_t from) {
    const std::string path = path_of(number);
    std::error_code error;
    const auto bytes = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
    std::string text;
    if (!error && bytes <= kMostSegmentBytes + kMaxRecordBytes) {
        std::ifstream file(path, std::ios::binary);
        text.assign(std::istreambuf_iterator<char>(file), {});
    } else {
        log(LogLevel::Warning, path + " is no spilled record of ours: it is deleted");
    }
    text.erase(0, std::min<std::uint64_t>(from, text.size()));
    Segment &segment = segments_[number];
    segment.bytes = bytes;
    for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
        ++segment.records;
        if (const auto message =
                parse_spill_line(std::string_view(text).substr(begin, end - begin)))
            last_sequence_ = std::max(last_sequence_, message->sequence);
    }
    if (segment.records == 0) {
        fs::remove(path, error);
        segments_.erase(number);
        return;
    }
    records_ += segment.records;
    bytes_ += segment.bytes;
}

Result<void> Spill::begin_segment() {
    if (write_fd_ >= 0)
        close(write_fd_);
    const std::string path = path_of(next_segment_);
    write_fd_ = ::open(path.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (write_fd_ < 0)
        return spill_error(path, errno);
    segments_[next_segment_++] = {};
    return {};
}

Result<bool> Spill::append(const Message &message) {
    const std::string line = to_spill_line(message) + "\n";
    if (line.size() > kMaxRecordBytes)
        return fail(Errc::InvalidArgument, "a record of ", line.size(),
                    " bytes is not spilled");
    if (bytes_ + line.size() > max_bytes_)
        return false;
    if (write_fd_ < 0 || segments_.rbegin()->second.bytes >= segment_bytes_)
        SPHERE_TRY(begin_segment());
    Segment &segment = segments_.rbegin()->second;
    const WriteSignalsBlocked blocked;
    std::size_t done = 0;
    while (done < line.size()) {
        const ssize_t count = write(write_fd_, line.data() + done, line.size() - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            const int number = count == 0 ? EIO : errno;
            // What is there of the line is cut off, or stands where no other line begins.
            if (done > 0 && ftruncate(write_fd_, static_cast<off_t>(segment.bytes)) != 0) {
                close(write_fd_);
                write_fd_ = -1;
            }
            return spill_error(directory_, number);
        }
        done += static_cast<std::size_t>(count);
    }
    segment.bytes += line.size();
    ++segment.records;
    bytes_ += line.size();
    ++records_;
    return true;
}

void Spill::close_reader() {
    if (read_fd_ >= 0)
        close(read_fd_);
    read_fd_ = -1;
}

/// More bytes of the first segment into buffer_. False at its end.
bool Spill::read_more(std::uint64_t &lost) {
    if (read_fd_ < 0)
        read_fd_ = ::open(path_of(segments_.begin()->first).c_str(),
                          O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const std::size_t before = buffer_.size();
    if (before > kMaxRecordBytes) { // no line of ours
        ++lost;
        return false;
    }
    buffer_.resize(before + kReadBytes);
    const ssize_t count = read_fd_ < 0 ? 0
                                       : pread(read_fd_, buffer_.data() + before, kReadBytes,
                                               static_cast<off_t>(read_offset_));
    buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    read_offset_ += buffer_.size() - before;
    return count > 0;
}

std::span<const Message> Spill::front(std::size_t most, std::uint64_t &lost) {
    std::size_t skipped = 0; // bytes of lines that cannot be read, before the next that can
    while (front_.size() < most && records_ > 0) {
        const std::size_t end = buffer_.find('\n');
        if (end != std::string::npos) {
            auto message = parse_spill_line(std::string_view(buffer_).substr(0, end));
            buffer_.erase(0, end + 1);
            if (message) {
                front_.push_back(std::move(*message));
                sizes_.push_back(skipped + end + 1);
                skipped = 0;
                continue;
            }
            skipped += end + 1;
            ++lost;
            if (Segment &segment = segments_.begin()->second; segment.records > 0) {
                --segment.records;
                --records_;
            }
            continue;
        }
        if (read_more(lost))
            continue;
        if (!front_.empty())
            break; // the next segment's turn comes when these are delivered
        // A segment whose end is torn or that somebody deleted.
        lost += segments_.begin()->second.records;
        remove_first();
        skipped = 0;
    }
    return {front_.data(), std::min(front_.size(), most)};
}

void Spill::remove_first() {
    const auto first = segments_.begin();
    if (first->first + 1 == next_segment_ && write_fd_ >= 0) {
        close(write_fd_);
        write_fd_ = -1;
    }
    close_reader();
    std::error_code ignored;
    fs::remove(path_of(first->first), ignored);
    records_ -= first->second.records;
    bytes_ -= first->second.bytes;
    segments_.erase(first);
    read_offset_ = popped_offset_ = 0;
    buffer_.clear();
    front_.clear();
    sizes_.clear();
}

void Spill::save_position() {
    const std::string path = directory_ + "/position";
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return; // after a crash some records would be sent once more
    std::array<char, 48> text;
    const int size = std::snprintf(text.data(), text.size(), "%-20llu %-20llu\n",
                                   static_cast<unsigned long long>(segments_.begin()->first),
                                   static_cast<unsigned long long>(popped_offset_));
    if (pwrite(fd, text.data(), static_cast<std::size_t>(size), 0) != size)
        log(LogLevel::Debug, path + " could not be written");
    close(fd);
}

void Spill::pop(std::size_t count) {
    if (count == 0 || segments_.empty())
        return;
    count = std::min(count, front_.size());
    for (std::size_t i = 0; i < count; ++i)
        popped_offset_ += sizes_[i];
    sizes_.erase(sizes_.begin(), sizes_.begin() + static_cast<std::ptrdiff_t>(count));
    front_.erase(front_.begin(), front_.begin() + static_cast<std::ptrdiff_t>(count));
    records_ -= count;
    segments_.begin()->second.records -= count;
    if (segments_.begin()->second.records == 0)
        remove_first();
    else
        save_position();
}

std::uint64_t Spill::drop_oldest() {
    if (segments_.empty())
        return 0;
    const std::uint64_t count = segments_.begin()->second.records;
    remove_first();
    return count;
}

} // namespace sphere
