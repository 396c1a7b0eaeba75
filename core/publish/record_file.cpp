// SPDX-License-Identifier: MIT
#include "core/publish/record_file.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>

namespace sphere {
namespace {

constexpr std::size_t kMaxRecords = 50'000'000; ///< three weeks at 25 a second
constexpr const char *kSchema = "sphere.frame/1";

/// Reads a record as far as its time, which stands near its beginning.
class TimeReader final : public nlohmann::json_sax<nlohmann::json> {
  public:
    bool frame = false; ///< it is a frame record
    bool broken = false;
    std::optional<std::uint64_t> pts_ns, stream_time_ns;

    bool null() override { return value(); }
    bool boolean(bool) override { return value(); }
    bool number_integer(number_integer_t) override { return value(); }
    bool number_float(number_float_t, const string_t &) override { return value(); }
    bool binary(binary_t &) override { return value(); }
    bool number_unsigned(number_unsigned_t number) override {
        if (depth_ == 1 && key_ == "pts")
            pts_ns = number;
        if (depth_ == 1 && key_ == "stream_time")
            stream_time_ns = number;
        return value();
    }
    bool string(string_t &text) override {
        if (depth_ == 1 && key_ == "schema") {
            frame = text == kSchema;
            if (!frame)
                return false; // an event, or somebody else's
        }
        return value();
    }
    bool start_object(std::size_t) override { return enter(); }
    bool start_array(std::size_t) override { return enter(); }
    bool end_object() override { return leave(); }
    bool end_array() override { return leave(); }
    bool key(string_t &name) override {
        if (depth_ == 1)
            key_ = name.substr(0, kLongestKey);
        return true;
    }
    bool parse_error(std::size_t, const std::string &,
                     const nlohmann::detail::exception &) override {
        broken = true;
        return false;
    }

  private:
    static constexpr std::size_t kLongestKey = 16;
    bool value() { return !(frame && pts_ns); } // false: nothing more to learn
    bool enter() {
        ++depth_;
        return true;
    }
    bool leave() {
        --depth_;
        return value();
    }
    int depth_ = 0;
    std::string key_;
};

/// A line without its end. False at the end of the file; `whole` where a newline ended it.
Result<bool> read_line(std::streambuf &from, std::string &line, bool &whole) {
    constexpr auto kEnd = std::char_traits<char>::eof();
    line.clear();
    whole = false;
    for (int c = from.sbumpc(); c != kEnd; c = from.sbumpc()) {
        if (c == '\n') {
            whole = true;
            return true;
        }
        if (line.size() >= kMaxRecordBytes)
            return fail(Errc::Corrupt, "the line is too long for a record");
        line += static_cast<char>(c);
    }
    return !line.empty();
}

std::uint64_t apart(std::uint64_t a, std::uint64_t b) {
    return a > b ? a - b : b - a;
}

} // namespace

Result<RecordFile> RecordFile::open(const std::string &path) {
    RecordFile records;
    records.path_ = path;
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored))
        records.file_.open(path, std::ios::binary);
    if (!records.file_.is_open())
        return fail(Errc::NotFound, path,
                    ": cannot be read; give a file that spherepublish wrote");
    if (auto indexed = records.index(); !indexed)
        return std::move(indexed).error();
    return records;
}

Result<void> RecordFile::index_line(std::uint64_t offset, std::size_t number, bool whole) {
    if (line_.find_first_not_of(" \t\r") == std::string::npos ||
        (!whole && !nlohmann::json::accept(line_)))
        return {};
    TimeReader reader;
    nlohmann::json::sax_parse(line_, &reader);
    if (reader.broken)
        return fail(Errc::Corrupt, path_, ":", number,
                    ": is no record (JSON); give a file that spherepublish wrote");
    const auto time_ns = reader.pts_ns ? reader.pts_ns : reader.stream_time_ns;
    if (!reader.frame || !time_ns)
        return {};
    if (entries_.size() >= kMaxRecords)
        return fail(Errc::Corrupt, path_, ": has more than ", kMaxRecords, " records");
    entries_.push_back({*time_ns, offset});
    return {};
}

Result<void> RecordFile::index() {
    std::uint64_t offset = 0;
    for (std::size_t number = 1;; ++number) {
        bool whole = false;
        const auto more = read_line(*file_.rdbuf(), line_, whole);
        if (!more)
            return fail(more.error().code, path_, ":", number, ": ", more.error().message);
        if (!*more)
            break;
        if (auto indexed = index_line(offset, number, whole); !indexed)
            return indexed;
        offset += line_.size() + 1;
    }
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry &a, const Entry &b) { return a.time_ns < b.time_ns; });
    entries_.shrink_to_fit();
    return {};
}

std::uint64_t RecordFile::first_time_ns() const {
    return entries_.empty() ? 0 : entries_.front().time_ns;
}

Result<std::optional<FrameRecord>> RecordFile::find(std::uint64_t time_ns,
                                                    std::uint64_t tolerance_ns) {
    auto nearest =
        std::lower_bound(entries_.begin(), entries_.end(), time_ns,
                         [](const Entry &entry, std::uint64_t t) { return entry.time_ns < t; });
    if (nearest != entries_.begin() &&
        (nearest == entries_.end() ||
         apart(std::prev(nearest)->time_ns, time_ns) < apart(nearest->time_ns, time_ns)))
        --nearest;
    if (nearest == entries_.end() || apart(nearest->time_ns, time_ns) > tolerance_ns)
        return std::optional<FrameRecord>();
    file_.clear();
    bool whole = false;
    if (file_.rdbuf()->pubseekpos(static_cast<std::streamoff>(nearest->offset), std::ios::in) ==
        std::streampos(-1))
        return fail(Errc::Io, path_, ": cannot be read any more");
    const auto more = read_line(*file_.rdbuf(), line_, whole);
    if (!more)
        return fail(more.error().code, path_, ": ", more.error().message);
    auto record = parse_record(line_);
    if (!record)
        return fail(record.error().code, path_, ": byte ", nearest->offset, ": ",
                    record.error().message);
    return std::optional<FrameRecord>(std::move(*record));
}

} // namespace sphere
