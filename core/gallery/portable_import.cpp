// SPDX-License-Identifier: MIT
// A folder of plain files into a gallery.
#include "core/base/sha256.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/npy.h"
#include "core/gallery/portable_lines.h"
#include "core/gallery/sqlite_reads.h"

#include <algorithm>
#include <fstream>
#include <future>
#include <set>

namespace sphere {
namespace {

constexpr std::size_t kFacesPerTransaction = 8192;
constexpr std::size_t kMaxManifestBytes = 1 << 20;
constexpr std::size_t kMaxLineBytes = 2 << 20; ///< a thumbnail in Base64, and the rest

Error at_line(const std::string &path, std::int64_t line, const Error &error) {
    return fail(error.code, path, ": line ", line, ": ", error.message);
}

/// The lines of a file, one at a time.
class LineReader {
  public:
    explicit LineReader(std::string path)
        : path_(std::move(path)), file_(path_, std::ios::binary) {}

    /// False at the end.
    Result<bool> next(std::string &line) {
        if (!file_.is_open())
            return fail(Errc::NotFound, path_, ": cannot be read");
        line.clear();
        ++line_;
        for (int c = file_.rdbuf()->sbumpc();; c = file_.rdbuf()->sbumpc()) {
            if (c == std::char_traits<char>::eof())
                return !line.empty();
            if (c == '\n')
                return true;
            if (line.size() >= kMaxLineBytes)
                return at_line(path_, line_, fail(Errc::Corrupt, "is too long"));
            line += static_cast<char>(c);
        }
    }
    Error error(const Error &error) const { return at_line(path_, line_, error); }

  private:
    std::string path_;
    std::ifstream file_;
    std::int64_t line_ = 0;
};

/// The rows of a matrix file, one at a time.
class RowReader {
  public:
    explicit RowReader(std::string path)
        : path_(std::move(path)), file_(path_, std::ios::binary) {}

    Result<void> open(std::int64_t rows, int columns) {
        std::string start(kNpyHeaderBytes, '\0');
        file_.read(start.data(), static_cast<std::streamsize>(start.size()));
        start.resize(static_cast<std::size_t>(std::max<std::streamsize>(file_.gcount(), 0)));
        const auto shape = parse_npy_header(start);
        if (!shape)
            return fail(Errc::Corrupt, path_, ": not a float32 matrix of numpy's format 1.0");
        if (shape->rows != rows || shape->columns != columns)
            return fail(Errc::Corrupt, path_, ": has ", shape->rows, " rows of ",
                        shape->columns, " values, the manifest says ", rows, " of ", columns);
        file_.clear();
        file_.seekg(static_cast<std::streamoff>(shape->header_bytes));
        bytes_.resize(static_cast<std::size_t>(columns) * 4);
        return {};
    }
    Result<void> next(std::vector<float> &row) {
        if (!file_.read(reinterpret_cast<char *>(bytes_.data()),
                        static_cast<std::streamsize>(bytes_.size())))
            return fail(Errc::Corrupt, path_, ": ends before its last row");
        row = from_little_endian(bytes_);
        return {};
    }

  private:
    std::string path_;
    std::ifstream file_;
    std::vector<std::uint8_t> bytes_;
};

Result<PortableManifest> read_manifest(const std::string &folder) {
    const std::string path = folder + "/" + kManifestName;
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open())
        return fail(Errc::NotFound, path,
                    ": cannot be read; name a folder that spherectl gallery export made");
    std::string text(kMaxManifestBytes, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    auto manifest = parse_portable_manifest(text);
    if (!manifest)
        return fail(manifest.error().code, path, ": ", manifest.error().message);
    return manifest;
}

/// Every file is there and is the one that was exported.
Result<void> check_files(const std::string &folder, const PortableManifest &manifest) {
    for (const char *needed :
         {kPeopleName, kFacesName, kEmbeddingsName, kNegativesName, kNegativeEmbeddingsName})
        if (std::none_of(manifest.files.begin(), manifest.files.end(),
                         [&](const PortableFile &file) { return file.name == needed; }))
            return fail(Errc::Corrupt, folder, "/", kManifestName, ": does not list ", needed);
    for (const PortableFile &file : manifest.files) {
        const std::string path = folder + "/" + file.name;
        const auto sha256 = sha256_of_file(path);
        if (!sha256)
            return sha256.error();
        if (*sha256 != file.sha256)
            return fail(Errc::Corrupt, path,
                        ": is not the file that was exported (its sha256 is another): copy "
                        "the folder again");
    }
    return {};
}

class Importer {
  public:
    Importer(std::string folder, PortableManifest manifest, const ImportTarget &target)
        : folder_(std::move(folder)), manifest_(std::move(manifest)), target_(target) {}

    /// Every line, without a gallery.
    Result<void> check_lines() {
        SPHERE_TRY(read_people());
        SPHERE_TRY(each_face([](PortableFace &&, std::int64_t) { return Result<void>(); }));
        return read_negatives();
    }
    Result<void> open(bool merge);
    Result<void> write_faces(const PortableProgress &progress);
    Result<void> write_rest();
    const PortableCounts &counts() const { return manifest_.counts; }

  private:
    Result<void> read_people();
    Result<void> read_negatives();
    template <typename Take> Result<void> each_face(const Take &take);
    Result<void> enrol_pending();

    std::string folder_;
    PortableManifest manifest_;
    const ImportTarget &target_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<PeopleAdmin> admin_;
    std::vector<Person> people_;
    std::set<std::string> with_faces_;
    std::vector<GalleryChange> negatives_;
    std::vector<Enrolment> pending_;
    std::vector<std::size_t> pending_quarantined_;
    std::vector<std::int64_t> quarantined_;
    std::int64_t enrolled_ = 0;
};

Result<void> Importer::read_people() {
    LineReader lines(folder_ + "/" + kPeopleName);
    std::string line;
    std::set<std::string> ids;
    for (std::int64_t i = 0;; ++i) {
        const auto more = lines.next(line);
        if (!more)
            return more.error();
        if (!*more && i == manifest_.counts.people)
            return {};
        auto person =
            *more && i < manifest_.counts.people
                ? parse_portable_person(line)
                : fail(Errc::Corrupt, "the manifest says ", manifest_.counts.people, " people");
        if (person)
            if (auto id = check_person_id(person->id); !id)
                person = id.error();
        if (person && !ids.insert(person->id).second)
            person = fail(Errc::Corrupt, person->id, " is there twice");
        if (!person)
            return lines.error(person.error());
        people_.push_back(std::move(*person));
    }
}

Result<void> Importer::read_negatives() {
    LineReader lines(folder_ + "/" + kNegativesName);
    RowReader rows(folder_ + "/" + kNegativeEmbeddingsName);
    SPHERE_TRY(rows.open(manifest_.counts.negatives, manifest_.stamp.dims));
    std::string line;
    for (std::int64_t i = 0; i < manifest_.counts.negatives; ++i) {
        const auto more = lines.next(line);
        if (!more)
            return more.error();
        auto negative = parse_portable_negative(line);
        if (!negative)
            return lines.error(negative.error());
        AddNegative change{manifest_.stamp, negative->person_id, negative->source, {}};
        SPHERE_TRY(rows.next(change.embedding));
        negatives_.emplace_back(std::move(change));
    }
    return {};
}

/// take(face with embedding, its number) for each row.
template <typename Take> Result<void> Importer::each_face(const Take &take) {
    LineReader lines(folder_ + "/" + kFacesName);
    RowReader rows(folder_ + "/" + kEmbeddingsName);
    SPHERE_TRY(rows.open(manifest_.counts.faces, manifest_.stamp.dims));
    std::string line;
    for (std::int64_t i = 0; i < manifest_.counts.faces; ++i) {
        const auto more = lines.next(line);
        if (!more)
            return more.error();
        auto row =
            *more ? parse_portable_face(line)
                  : fail(Errc::Corrupt, "the manifest says ", manifest_.counts.faces, " faces");
        if (row)
            if (auto id = check_person_id(row->face.person_id); !id)
                row = id.error();
        if (!row)
            return lines.error(row.error());
        SPHERE_TRY(rows.next(row->face.embedding));
        SPHERE_TRY(take(std::move(*row), i));
    }
    return {};
}

Result<void> Importer::open(bool merge) {
    auto store = target_.open();
    if (!store)
        return std::move(store).error();
    store_ = std::move(*store);
    const auto there = store_->list_people();
    if (!there)
        return there.error();
    std::set<std::string> ids;
    for (const Person &person : *there)
        ids.insert(person.id);
    for (const Person &person : people_)
        if (!merge && ids.contains(person.id))
            return fail(Errc::InvalidArgument, "import: ", person.id,
                        " is in the gallery already; nothing was imported. --merge adds the "
                        "faces to the people who are there");
    auto admin = target_.open_admin();
    if (!admin)
        return std::move(admin).error();
    admin_ = std::move(*admin);
    return {};
}

Result<void> Importer::enrol_pending() {
    if (pending_.empty())
        return {};
    auto ids = store_->enrol(manifest_.stamp, pending_);
    if (!ids)
        return fail(ids.error().code, ids.error().message, enrolled_ > 0 ? " (" : "",
                    enrolled_ > 0 ? std::to_string(enrolled_) : std::string(),
                    enrolled_ > 0 ? " faces were imported before that)" : "");
    for (const std::size_t i : pending_quarantined_)
        quarantined_.push_back((*ids)[i]);
    enrolled_ += static_cast<std::int64_t>(pending_.size());
    pending_.clear();
    pending_quarantined_.clear();
    return {};
}

Result<void> Importer::write_faces(const PortableProgress &progress) {
    SPHERE_TRY(each_face([&](PortableFace &&row, std::int64_t i) -> Result<void> {
        if (row.quarantined)
            pending_quarantined_.push_back(pending_.size());
        with_faces_.insert(row.face.person_id);
        pending_.push_back(std::move(row.face));
        if (pending_.size() < kFacesPerTransaction)
            return {};
        if (progress)
            progress(i, manifest_.counts.faces);
        return enrol_pending();
    }));
    return enrol_pending();
}

/// People without faces, what is known of people, quarantine, negatives: one transaction.
Result<void> Importer::write_rest() {
    std::vector<GalleryChange> changes;
    for (const Person &person : people_) {
        if (!with_faces_.contains(person.id))
            changes.emplace_back(MoveFaces{{}, person.id});
        if (person.label != person.id || person.threshold || person.attributes != "{}")
            changes.emplace_back(
                SetPerson{person.id, person.label, person.threshold, person.attributes});
    }
    if (!quarantined_.empty())
        changes.emplace_back(QuarantineFaces{quarantined_, true});
    changes.insert(changes.end(), negatives_.begin(), negatives_.end());
    if (changes.empty())
        return {};
    auto done = admin_->apply(changes);
    return done ? Result<void>() : Result<void>(std::move(done).error());
}

} // namespace

Result<PortableCounts> import_gallery(const std::string &folder, const ImportTarget &target,
                                      const ImportOptions &options,
                                      const PortableProgress &progress) {
    auto manifest = read_manifest(folder);
    if (!manifest)
        return std::move(manifest).error();
    // The checksums take a core of their own: they take as long as reading the lines.
    auto checksums =
        std::async(std::launch::async, [&] { return check_files(folder, *manifest); });
    Importer importer(folder, *manifest, target);
    const auto lines = importer.check_lines();
    SPHERE_TRY(checksums.get());
    SPHERE_TRY(lines);
    if (options.dry_run)
        return importer.counts();
    SPHERE_TRY(importer.open(options.merge));
    SPHERE_TRY(importer.write_faces(progress));
    SPHERE_TRY(importer.write_rest());
    return importer.counts();
}

} // namespace sphere
