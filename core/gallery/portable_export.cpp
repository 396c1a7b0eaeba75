// SPDX-License-Identifier: MIT
// A gallery into a folder of plain files.
#include "core/base/sha256.h"
#include "core/gallery/npy.h"
#include "core/gallery/portable_lines.h"
#include "core/gallery/sqlite_gallery.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

Error system_error(const std::string &path, int number) {
    const Errc code = number == ENOSPC || number == EDQUOT ? Errc::NoSpace
                      : number == EACCES || number == EPERM || number == EROFS
                          ? Errc::Permission
                      : number == ENOENT || number == ENOTDIR ? Errc::NotFound
                                                              : Errc::Io;
    return fail(code, "export to ", path, ": ", std::strerror(number));
}

/// A new file, mode 0600, whose checksum is kept as it grows.
class OutputFile {
  public:
    OutputFile(std::string folder, std::string name)
        : path_(std::move(folder) + "/" + name), name_(std::move(name)) {}
    OutputFile(const OutputFile &) = delete;
    OutputFile &operator=(const OutputFile &) = delete;
    ~OutputFile() {
        if (fd_ >= 0)
            close(fd_);
    }
    Result<void> open_new() {
        fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd_ < 0 ? Result<void>(system_error(path_, errno)) : Result<void>();
    }
    Result<void> write(std::string_view text) {
        buffer_ += text;
        return buffer_.size() < kBufferBytes ? Result<void>() : flush();
    }
    Result<void> line(const std::string &text) {
        SPHERE_TRY(write(text));
        return write("\n");
    }
    Result<void> floats(const std::vector<float> &values) {
        const std::vector<std::uint8_t> bytes = to_little_endian(values);
        return write({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
    }
    Result<PortableFile> finish() {
        SPHERE_TRY(flush());
        if (fsync(fd_) != 0 && errno != EINVAL)
            return system_error(path_, errno);
        const int fd = std::exchange(fd_, -1);
        if (close(fd) != 0)
            return system_error(path_, errno);
        return PortableFile{name_, bytes_, sha256_.finish_hex()};
    }

  private:
    static constexpr std::size_t kBufferBytes = 1 << 20;
    Result<void> flush() {
        sha256_.update(
            {reinterpret_cast<const std::uint8_t *>(buffer_.data()), buffer_.size()});
        for (std::size_t done = 0; done < buffer_.size();) {
            const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return system_error(path_, errno);
            done += static_cast<std::size_t>(n);
        }
        bytes_ += static_cast<std::int64_t>(buffer_.size());
        buffer_.clear();
        return {};
    }

    std::string path_;
    std::string name_;
    int fd_ = -1;
    std::string buffer_;
    std::int64_t bytes_ = 0;
    Sha256 sha256_;
};

Result<void> make_folder(const std::string &folder) {
    if (mkdir(folder.c_str(), 0700) == 0)
        return {};
    if (errno != EEXIST)
        return system_error(folder, errno);
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error))
        return fail(Errc::InvalidArgument, "export to ", folder, ": is not a folder");
    if (!std::filesystem::is_empty(folder, error) || error)
        return fail(Errc::InvalidArgument, "export to ", folder,
                    ": is not empty; name a new folder");
    return {};
}

struct Contents {
    std::optional<EmbeddingStamp> stamp;
    std::vector<Person> people;
    std::vector<FaceRecord> faces; ///< those that are embedded
    std::map<std::int64_t, std::vector<float>> embeddings;
    std::vector<NegativeRecord> negatives;
    std::vector<NegativeFace> negative_faces; ///< parallel
};

/// All of one moment, or Busy.
Result<Contents> read_contents(Store &store, PeopleAdmin &admin) {
    auto known = store.load();
    if (!known)
        return std::move(known).error();
    auto quarantined = admin.load(FaceKind::Quarantined);
    if (!quarantined)
        return std::move(quarantined).error();
    auto people = store.list_people();
    if (!people)
        return std::move(people).error();
    auto faces = admin.list_faces("");
    if (!faces)
        return std::move(faces).error();
    auto notes = admin.notes(0);
    if (!notes)
        return std::move(notes).error();
    const auto version = store.version();
    if (!version)
        return version.error();
    if (*version != known->version)
        return fail(Errc::Busy, "export: the gallery changed meanwhile: try again");
    if (!known->stamp)
        return fail(Errc::NotFound, "export: nobody is enrolled, there is nothing to export");
    Contents contents;
    contents.stamp = known->stamp;
    contents.people = std::move(*people);
    for (GallerySnapshot *snapshot : {&*known, &*quarantined})
        for (EnrolledFace &face : snapshot->faces)
            contents.embeddings.emplace(face.face_id, std::move(face.embedding));
    for (FaceRecord &face : *faces)
        if (contents.embeddings.contains(face.face_id))
            contents.faces.push_back(std::move(face));
    contents.negative_faces = std::move(known->negatives);
    contents.negatives = std::move(notes->negatives);
    if (contents.negatives.size() != contents.negative_faces.size())
        return fail(Errc::Corrupt, "export: negatives of another stamp than the gallery's");
    return contents;
}

class Exporter {
  public:
    Exporter(PeopleAdmin &admin, std::string folder, const Contents &contents)
        : admin_(admin), folder_(std::move(folder)), contents_(contents) {}

    Result<void> people() {
        return file(kPeopleName, [&](OutputFile &out) -> Result<void> {
            for (const Person &person : contents_.people)
                SPHERE_TRY(out.line(format_person(person)));
            return {};
        });
    }
    Result<void> faces(bool thumbnails, const PortableProgress &progress) {
        return file(kFacesName, [&](OutputFile &out) -> Result<void> {
            std::int64_t done = 0;
            const auto all = static_cast<std::int64_t>(contents_.faces.size());
            for (const FaceRecord &face : contents_.faces) {
                std::vector<std::uint8_t> jpeg;
                if (thumbnails && face.has_thumbnail) {
                    auto kept = admin_.thumbnail(face.face_id);
                    if (!kept)
                        return std::move(kept).error();
                    jpeg = std::move(*kept);
                }
                SPHERE_TRY(out.line(format_face(face, jpeg)));
                if (progress)
                    progress(++done, all);
            }
            return {};
        });
    }
    Result<void> embeddings() {
        return file(kEmbeddingsName, [&](OutputFile &out) -> Result<void> {
            SPHERE_TRY(out.write(npy_header(static_cast<std::int64_t>(contents_.faces.size()),
                                            contents_.stamp->dims)));
            for (const FaceRecord &face : contents_.faces)
                SPHERE_TRY(out.floats(contents_.embeddings.at(face.face_id)));
            return {};
        });
    }
    Result<void> negatives() {
        SPHERE_TRY(file(kNegativesName, [&](OutputFile &out) -> Result<void> {
            for (const NegativeRecord &negative : contents_.negatives)
                SPHERE_TRY(out.line(format_negative(negative)));
            return {};
        }));
        return file(kNegativeEmbeddingsName, [&](OutputFile &out) -> Result<void> {
            SPHERE_TRY(out.write(npy_header(
                static_cast<std::int64_t>(contents_.negatives.size()), contents_.stamp->dims)));
            for (const NegativeFace &negative : contents_.negative_faces)
                SPHERE_TRY(out.floats(negative.embedding));
            return {};
        });
    }
    /// Last: a folder with a manifest is whole.
    Result<PortableCounts> manifest() {
        PortableManifest manifest;
        manifest.stamp = *contents_.stamp;
        manifest.counts = {static_cast<std::int64_t>(contents_.people.size()),
                           static_cast<std::int64_t>(contents_.faces.size()),
                           static_cast<std::int64_t>(contents_.negatives.size())};
        manifest.files = files_;
        SPHERE_TRY(file(kManifestName,
                        [&](OutputFile &out) { return out.write(format_manifest(manifest)); }));
        return manifest.counts;
    }

  private:
    template <typename Write> Result<void> file(const char *name, const Write &write) {
        OutputFile out(folder_, name);
        SPHERE_TRY(out.open_new());
        SPHERE_TRY(write(out));
        auto finished = out.finish();
        if (!finished)
            return std::move(finished).error();
        files_.push_back(std::move(*finished));
        return {};
    }

    PeopleAdmin &admin_;
    std::string folder_;
    const Contents &contents_;
    std::vector<PortableFile> files_;
};

} // namespace

Result<PortableCounts> export_gallery(Store &store, PeopleAdmin &admin,
                                      const std::string &folder, bool thumbnails,
                                      const PortableProgress &progress) {
    auto contents = read_contents(store, admin);
    if (!contents)
        return std::move(contents).error();
    SPHERE_TRY(make_folder(folder));
    Exporter exporter(admin, folder, *contents);
    SPHERE_TRY(exporter.people());
    SPHERE_TRY(exporter.faces(thumbnails, progress));
    SPHERE_TRY(exporter.embeddings());
    SPHERE_TRY(exporter.negatives());
    return exporter.manifest();
}

} // namespace sphere
