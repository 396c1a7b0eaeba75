// SPDX-License-Identifier: MIT
// Index files: a header, and a payload with its checksum.
#include "core/gallery/index_file.h"

#include "core/base/log.h"
#include "core/gallery/gallery_file.h"
#include "core/gallery/index_stream.h"
#include "core/gallery/limits.h"

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

constexpr char kMagic[8] = {'S', 'P', 'H', 'I', 'D', 'X', '\r', '\n'};
constexpr std::uint32_t kFormat = 2; ///< 1 had graphs without the nodes to start at
constexpr std::uint32_t kByteOrder = 0x01020304;
constexpr std::size_t kMaxKindBytes = 256;

/// As it stands in the file; every byte is set. Sums are of the header before them and of the
/// payload.
struct Header {
    char magic[8];
    std::uint32_t byte_order;
    std::uint32_t format;
    std::int64_t version;
    std::uint64_t rows;
    std::uint32_t dims;
    std::uint32_t metric;
    std::uint64_t payload_bytes;
    std::uint64_t payload_sum;
    std::uint64_t header_sum;
};
static_assert(sizeof(Header) == 64);

std::uint64_t sum_of(const Header &header) {
    StreamSum sum;
    sum.add(&header, offsetof(Header, header_sum));
    return sum.value();
}

struct CloseFile {
    void operator()(std::FILE *file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Error io_error(const std::string &path, int number) {
    const Errc code = number == ENOENT ? Errc::NotFound
                      : number == EACCES || number == EPERM || number == EROFS
                          ? Errc::Permission
                      : number == ENOSPC || number == EDQUOT ? Errc::NoSpace
                                                             : Errc::Io;
    return fail(code, "index file ", path, ": ", std::strerror(number));
}

void save_stamp(IndexSink &sink, const EmbeddingStamp &stamp) {
    for (const std::string *text :
         {&stamp.model, &stamp.sha256, &stamp.preprocessing, &stamp.template_name, &stamp.flip})
        sink.text(*text);
    sink.number(static_cast<std::int32_t>(stamp.dims));
}
EmbeddingStamp restore_stamp(IndexSource &source) {
    EmbeddingStamp stamp;
    for (std::string *text :
         {&stamp.model, &stamp.sha256, &stamp.preprocessing, &stamp.template_name, &stamp.flip})
        *text = source.text(kMaxTextBytes);
    stamp.dims = source.number<std::int32_t>();
    return stamp;
}

/// People once each, faces by their number in that list.
void save_faces(IndexSink &sink, const GallerySnapshot &snapshot) {
    std::map<std::string, std::uint32_t> numbers;
    std::vector<const EnrolledFace *> people;
    std::vector<std::int64_t> ids;
    std::vector<std::uint32_t> owners;
    for (const EnrolledFace &face : snapshot.faces) {
        const auto [entry, fresh] =
            numbers.emplace(face.person_id, static_cast<std::uint32_t>(people.size()));
        if (fresh)
            people.push_back(&face);
        ids.push_back(face.face_id);
        owners.push_back(entry->second);
    }
    sink.number(static_cast<std::uint32_t>(people.size()));
    for (const EnrolledFace *face : people) {
        sink.text(face->person_id);
        sink.text(face->label);
    }
    sink.list(ids);
    sink.list(owners);
}
bool restore_faces(IndexSource &source, std::uint64_t rows, GallerySnapshot &snapshot) {
    std::vector<std::pair<std::string, std::string>> people;
    const auto count = source.number<std::uint32_t>();
    if (!source.holds(count, 8))
        return false;
    for (std::uint32_t i = 0; i < count && source.ok(); ++i) {
        std::string id = source.text(kMaxPersonIdBytes);
        if (id.empty())
            return false;
        people.emplace_back(std::move(id), source.text(kMaxTextBytes));
    }
    const auto ids = source.list<std::int64_t>(rows);
    const auto owners = source.list<std::uint32_t>(rows);
    if (!source.ok())
        return false;
    snapshot.faces.reserve(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (owners[i] >= people.size() || (i > 0 && ids[i] <= ids[i - 1]))
            return false;
        const auto &[person, label] = people[owners[i]];
        snapshot.faces.push_back({ids[i], person, label, {}});
    }
    return true;
}

void save_aids(IndexSink &sink, const GallerySnapshot &snapshot) {
    sink.number(static_cast<std::uint32_t>(snapshot.thresholds.size()));
    for (const auto &[person, threshold] : snapshot.thresholds) {
        sink.text(person);
        sink.number(threshold);
    }
    sink.number(static_cast<std::uint32_t>(snapshot.negatives.size()));
    for (const NegativeFace &negative : snapshot.negatives) {
        sink.number(negative.negative_id);
        sink.text(negative.person_id);
        sink.list(negative.embedding);
    }
}
bool restore_aids(IndexSource &source, GallerySnapshot &snapshot) {
    const auto thresholds = source.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < thresholds && source.ok(); ++i) {
        std::string person = source.text(kMaxPersonIdBytes);
        const auto threshold = source.number<float>();
        if (!std::isfinite(threshold) || threshold < 0)
            return false;
        snapshot.thresholds.emplace(std::move(person), threshold);
    }
    const auto negatives = source.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < negatives && source.ok(); ++i) {
        NegativeFace negative;
        negative.negative_id = source.number<std::int64_t>();
        negative.person_id = source.text(kMaxPersonIdBytes);
        negative.embedding =
            source.list<float>(static_cast<std::uint64_t>(snapshot.stamp->dims));
        for (const float value : negative.embedding)
            if (!std::isfinite(value))
                return false;
        snapshot.negatives.push_back(std::move(negative));
    }
    return source.ok();
}

Result<void> write_contents(std::FILE *file, const std::string &path, const IndexFile &contents,
                            const SavedIndex &index) {
    Header header{};
    IndexSink blank(file);
    blank.bytes(&header, sizeof header);
    IndexSink sink(file);
    sink.text(contents.kind);
    save_stamp(sink, *contents.snapshot.stamp);
    save_faces(sink, contents.snapshot);
    sink.list(contents.norms);
    sink.list(contents.prints);
    save_aids(sink, contents.snapshot);
    index.save(sink);
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.byte_order = kByteOrder;
    header.format = kFormat;
    header.version = contents.snapshot.version;
    header.rows = contents.snapshot.faces.size();
    header.dims = static_cast<std::uint32_t>(contents.snapshot.stamp->dims);
    header.metric = static_cast<std::uint32_t>(contents.metric);
    header.payload_bytes = sink.count();
    header.payload_sum = sink.sum();
    header.header_sum = sum_of(header);
    errno = 0;
    if (!blank.ok() || !sink.ok() || std::fseek(file, 0, SEEK_SET) != 0 ||
        std::fwrite(&header, sizeof header, 1, file) != 1 || std::fflush(file) != 0 ||
        fsync(fileno(file)) != 0)
        return io_error(path, errno != 0 ? errno : EIO);
    return {};
}

Error damaged(const std::string &path, const char *what) {
    return fail(Errc::Corrupt, "index file ", path, " is damaged (", what,
                "): it is made again");
}

Result<Header> read_header(std::FILE *file, const std::string &path) {
    Header header{};
    struct stat info {};
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode) ||
        std::fread(&header, sizeof header, 1, file) != 1)
        return damaged(path, "too short");
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
        return damaged(path, "not an index file");
    if (header.byte_order != kByteOrder || header.format != kFormat)
        return fail(Errc::Mismatch, "index file ", path, " is of another version");
    if (header.header_sum != sum_of(header))
        return damaged(path, "header checksum");
    if (header.payload_bytes != static_cast<std::uint64_t>(info.st_size) - sizeof header)
        return damaged(path, "cut off");
    if (header.metric > 1 || header.dims < 1 ||
        header.dims > static_cast<std::uint32_t>(kMaxDims) ||
        header.rows > static_cast<std::uint64_t>(kMaxFaces))
        return damaged(path, "its size");
    return header;
}

} // namespace

std::optional<std::string> gallery_file_of(const std::string &location) {
    constexpr std::string_view kPrefix = "sqlite:";
    const std::string path =
        location.starts_with(kPrefix) ? location.substr(kPrefix.size()) : location;
    if (path.empty() || path.find("://") != std::string::npos)
        return std::nullopt;
    return absolute_gallery_path(path);
}

std::string index_file_path(const std::string &gallery, const std::string &kind) {
    std::string name = kind;
    for (char &letter : name) // of a Faiss factory string
        if (letter == '/' || letter == ':' || letter == ',')
            letter = '_';
    return gallery + ".index-" + name;
}

Result<void> write_index_file(const std::string &gallery, const IndexFile &contents) {
    const std::string path = index_file_path(gallery, contents.kind);
    const auto *index = dynamic_cast<const SavedIndex *>(contents.index.get());
    if (index == nullptr || !contents.snapshot.stamp)
        return fail(Errc::Unsupported, "index file ", path, ": nothing that can be saved");
    std::string temporary = path + ".tmp-XXXXXX";
    const int fd = mkostemp(temporary.data(), O_CLOEXEC); // mode 0600
    if (fd < 0)
        return io_error(path, errno);
    File file(fdopen(fd, "w+b"));
    if (!file) {
        close(fd);
        (void)unlink(temporary.c_str());
        return io_error(path, EIO);
    }
    Result<void> written;
    try {
        written = write_contents(file.get(), path, contents, *index);
    } catch (const std::exception &error) {
        written = fail(Errc::Internal, "index file ", path, ": ", error.what());
    }
    if (written.ok() && std::rename(temporary.c_str(), path.c_str()) != 0)
        written = io_error(path, errno);
    if (!written.ok())
        (void)unlink(temporary.c_str());
    return written;
}

Result<IndexFile> read_index_file(const std::string &gallery, const std::string &kind,
                                  const IndexOptions &options) {
    const std::string path = index_file_path(gallery, kind);
    // O_NONBLOCK: a pipe in its place must not hang whoever opens it.
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return io_error(path, errno);
    const File file(fdopen(fd, "rb"));
    if (!file) {
        close(fd);
        return io_error(path, EIO);
    }
    const auto header = read_header(file.get(), path);
    if (!header)
        return header.error();
    try {
        IndexSource source(file.get(), header->payload_bytes);
        IndexFile contents;
        contents.kind = source.text(kMaxKindBytes);
        contents.metric = header->metric == 0 ? Metric::Cosine : Metric::Euclidean;
        contents.snapshot.version = header->version;
        contents.snapshot.stamp = restore_stamp(source);
        if (!source.ok())
            return damaged(path, "its beginning");
        if (contents.kind != kind)
            return fail(Errc::Mismatch, "index file ", path, " is of another kind");
        if (contents.snapshot.stamp->dims != static_cast<int>(header->dims))
            return damaged(path, "its dimensions");
        if (!restore_faces(source, header->rows, contents.snapshot))
            return damaged(path, "its faces");
        contents.norms = source.list<float>(header->rows);
        for (const float norm : contents.norms)
            if (!(norm >= 0) || !std::isfinite(norm))
                return damaged(path, "its lengths");
        contents.prints = source.list<std::uint64_t>(header->rows);
        if (!restore_aids(source, contents.snapshot))
            return damaged(path, "its thresholds and negatives");
        auto index = make_index(kind, static_cast<int>(header->dims), contents.metric, options);
        if (!index)
            return std::move(index).error();
        auto *saved = dynamic_cast<SavedIndex *>(index->get());
        if (saved == nullptr || !saved->restore(source) || source.left() != 0 ||
            (*index)->size() != contents.snapshot.faces.size())
            return damaged(path, "its rows");
        if (source.sum() != header->payload_sum)
            return damaged(path, "checksum");
        contents.index = std::move(*index);
        return contents;
    } catch (const std::exception &error) {
        return fail(Errc::Internal, "index file ", path, ": ", error.what());
    }
}

void remove_index_files(const std::string &gallery) noexcept {
    try {
        const std::filesystem::path file(gallery);
        const std::string prefix = file.filename().string() + ".index-";
        std::error_code error;
        std::vector<std::filesystem::path> found;
        for (const auto &entry : std::filesystem::directory_iterator(
                 file.has_parent_path() ? file.parent_path() : ".", error))
            if (entry.path().filename().string().starts_with(prefix))
                found.push_back(entry.path());
        for (const auto &path : found)
            if (!std::filesystem::remove(path, error) && error)
                log(LogLevel::Warning, path.string() +
                                           " still holds embeddings that were removed from the "
                                           "gallery and cannot be deleted: " +
                                           error.message());
    } catch (const std::exception &) {
        log(LogLevel::Warning, "index files of " + gallery + " cannot be looked for");
    }
}

} // namespace sphere
