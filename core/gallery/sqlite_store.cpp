// SPDX-License-Identifier: MIT
// Store on an SQLite file.
#include "core/gallery/sqlite_store.h"

#include "core/gallery/change_check.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_gallery.h"
#include "core/gallery/sqlite_writes.h"

#include <algorithm>
#include <set>

namespace sphere {
namespace {

class SqliteStore final : public Store {
  public:
    explicit SqliteStore(std::string path) : gallery_(std::move(path)) {}
    Result<void> attach(OpenMode mode) { return gallery_.attach(mode); }

    Result<std::vector<std::int64_t>> enrol(const EmbeddingStamp &stamp,
                                            const std::vector<Enrolment> &faces) override;
    Result<void> remove_person(const std::string &person_id) override;
    Result<std::vector<Person>> list_people() override {
        return gallery_.read(
            [](SqliteDb &db, SqliteStatements &s) { return read_gallery_people(db, s); });
    }
    Result<GallerySnapshot> load() override {
        return gallery_.read([](SqliteDb &db, SqliteStatements &s) {
            return read_gallery_snapshot(db, s, FaceKind::Known);
        });
    }
    Result<std::int64_t> version() override {
        return gallery_.read(
            [](SqliteDb &db, SqliteStatements &s) { return read_gallery_version(db, s); });
    }

  private:
    SqliteGallery gallery_;
};

Result<std::vector<std::int64_t>> SqliteStore::enrol(const EmbeddingStamp &stamp,
                                                     const std::vector<Enrolment> &faces) {
    SPHERE_TRY(check_enrolments(stamp, faces));
    if (faces.empty())
        return std::vector<std::int64_t>();
    return gallery_.write(
        [&](SqliteDb &db, SqliteStatements &s) -> Result<std::vector<std::int64_t>> {
            const auto stamp_key = use_gallery_stamp(db, s, stamp);
            if (!stamp_key)
                return stamp_key.error();
            SqliteFaceWriter writer(db, s, *stamp_key);
            std::vector<std::int64_t> face_ids;
            face_ids.reserve(faces.size());
            for (const Enrolment &enrolment : faces) {
                const auto face_id = writer.add(enrolment);
                if (!face_id)
                    return face_id.error();
                face_ids.push_back(*face_id);
            }
            SPHERE_TRY(writer.finish());
            return face_ids;
        });
}

Result<void> SqliteStore::remove_person(const std::string &person_id) {
    auto removed = gallery_.write([&](SqliteDb &db, SqliteStatements &s) -> Result<bool> {
        SPHERE_TRY(remove_gallery_person(db, s, person_id));
        return true;
    });
    if (!removed)
        return removed.error();
    gallery_.erase_old_pages();
    return {};
}

} // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::string &path, OpenMode mode) {
    auto store = std::make_unique<SqliteStore>(absolute_gallery_path(path));
    SPHERE_TRY(store->attach(mode));
    return std::unique_ptr<Store>(std::move(store));
}

} // namespace sphere
