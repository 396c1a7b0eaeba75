// SPDX-License-Identifier: MIT
// PeopleAdmin on an SQLite file.
#include "core/gallery/sqlite_admin.h"

#include "core/gallery/change_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_gallery.h"
#include "core/gallery/sqlite_writes.h"

#include <algorithm>

namespace sphere {
namespace {

class SqliteAdmin final : public PeopleAdmin {
  public:
    explicit SqliteAdmin(std::string path) : gallery_(std::move(path)) {}
    Result<void> attach() { return gallery_.attach(OpenMode::Existing); }

    Result<std::vector<std::int64_t>> apply(const std::vector<GalleryChange> &changes) override;
    Result<std::vector<std::int64_t>>
    rehearse(const std::vector<GalleryChange> &changes) override;
    Result<std::vector<FaceRecord>> list_faces(const std::string &person_id) override {
        return gallery_.read([&](SqliteDb &db, SqliteStatements &s) {
            return read_gallery_faces(db, s, person_id);
        });
    }
    Result<std::vector<std::uint8_t>> thumbnail(std::int64_t face_id) override;
    Result<GalleryNotes> notes(int newest_audit_entries) override {
        return gallery_.read([&](SqliteDb &db, SqliteStatements &) {
            return read_gallery_notes(db, newest_audit_entries);
        });
    }
    Result<GallerySnapshot> load(FaceKind kind) override {
        return gallery_.read([kind](SqliteDb &db, SqliteStatements &s) {
            return read_gallery_snapshot(db, s, kind);
        });
    }

  private:
    SqliteGallery gallery_;
};

/// A change that takes bytes out of the file.
bool removes(const GalleryChange &change) {
    return !std::holds_alternative<RecordSight>(change) &&
           !std::holds_alternative<AddNegative>(change) &&
           !std::holds_alternative<QuarantineFaces>(change);
}

bool records_sight(const GalleryChange &change) {
    return std::holds_alternative<RecordSight>(change);
}

Result<std::vector<std::int64_t>>
SqliteAdmin::apply(const std::vector<GalleryChange> &changes) {
    for (const GalleryChange &change : changes)
        SPHERE_TRY(check_change(change));
    if (changes.empty())
        return std::vector<std::int64_t>();
    auto numbers = gallery_.write(
        [&](SqliteDb &db, SqliteStatements &s) -> Result<std::vector<std::int64_t>> {
            std::vector<std::int64_t> results;
            for (const GalleryChange &change : changes) {
                const auto number = apply_gallery_change(db, s, change);
                if (!number)
                    return number.error();
                results.push_back(*number);
            }
            return results;
        },
        !std::all_of(changes.begin(), changes.end(), records_sight));
    if (numbers && std::any_of(changes.begin(), changes.end(), removes))
        gallery_.erase_old_pages();
    return numbers;
}

Result<std::vector<std::int64_t>>
SqliteAdmin::rehearse(const std::vector<GalleryChange> &changes) {
    for (const GalleryChange &change : changes)
        SPHERE_TRY(check_change(change));
    std::vector<std::int64_t> numbers;
    const auto done =
        gallery_.write([&](SqliteDb &db, SqliteStatements &s) -> Result<std::int64_t> {
            for (const GalleryChange &change : changes) {
                const auto number = apply_gallery_change(db, s, change);
                if (!number)
                    return number.error();
                numbers.push_back(*number);
            }
            return fail(Errc::Internal, "rehearsed"); // so that nothing is committed
        });
    if (numbers.size() < changes.size())
        return done.error();
    return numbers;
}

Result<std::vector<std::uint8_t>> SqliteAdmin::thumbnail(std::int64_t face_id) {
    return gallery_.read(
        [&](SqliteDb &db, SqliteStatements &) -> Result<std::vector<std::uint8_t>> {
            auto query = db.prepare("SELECT thumbnail_jpeg FROM faces WHERE face = ?1");
            if (!query)
                return query.error();
            query->bind(1, face_id);
            const auto row = query->step();
            if (!row)
                return row.error();
            if (!*row)
                return fail(Errc::NotFound, "gallery ", db.path(), " has no face ", face_id);
            const auto bytes = query->blob(0);
            if (bytes.size() > kMaxThumbnailBytes)
                return damaged_gallery(db, "face " + std::to_string(face_id) +
                                               " has a thumbnail that is too large");
            return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
        });
}

} // namespace

Result<std::unique_ptr<PeopleAdmin>> open_sqlite_admin(const std::string &path) {
    auto admin = std::make_unique<SqliteAdmin>(absolute_gallery_path(path));
    SPHERE_TRY(admin->attach());
    return std::unique_ptr<PeopleAdmin>(std::move(admin));
}

} // namespace sphere
