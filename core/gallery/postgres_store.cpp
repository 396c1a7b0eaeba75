// SPDX-License-Identifier: MIT
// Store and PeopleAdmin on a PostgreSQL server.
#include "core/gallery/postgres_store.h"

#include "core/gallery/change_check.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/pgvector.h"
#include "core/gallery/postgres_gallery.h"
#include "core/gallery/postgres_watch.h"

#include <cmath>
#include <map>

namespace sphere {
namespace {

class PgStore final : public Store {
  public:
    explicit PgStore(const std::string &location) : gallery_(location), location_(location) {}
    Result<void> attach(OpenMode mode) { return gallery_.attach(mode); }

    Result<std::vector<std::int64_t>> enrol(const EmbeddingStamp &stamp,
                                            const std::vector<Enrolment> &faces) override;
    Result<void> remove_person(const std::string &person_id) override {
        auto done = gallery_.write([&](PgDb &db) -> Result<bool> {
            SPHERE_TRY(pg_remove_person(db, person_id));
            return true;
        });
        return done ? Result<void>() : Result<void>(std::move(done).error());
    }
    Result<std::vector<Person>> list_people() override;
    Result<GallerySnapshot> load() override {
        return gallery_.read([](PgDb &db) { return pg_snapshot(db, FaceKind::Known); });
    }
    Result<std::int64_t> version() override { return gallery_.version(); }
    Result<GallerySnapshot> load_outline() override {
        return gallery_.read([](PgDb &db) { return pg_outline(db); });
    }
    Result<std::int64_t>
    prepare_search(Metric metric, const std::function<void(std::int64_t)> &progress) override {
        return prepare_pgvector(gallery_, metric, progress);
    }
    Result<std::shared_ptr<const FaceSearch>> face_search(Metric metric) override {
        return open_pgvector_search(location_, gallery_, metric);
    }
    std::unique_ptr<ChangeWatch> watch(std::function<void()> changed) override {
        return watch_postgres(location_, std::move(changed));
    }

  private:
    PgGallery gallery_;
    std::string location_;
};

Result<std::vector<std::int64_t>> PgStore::enrol(const EmbeddingStamp &stamp,
                                                 const std::vector<Enrolment> &faces) {
    SPHERE_TRY(check_enrolments(stamp, faces));
    if (faces.empty())
        return std::vector<std::int64_t>();
    return gallery_.write([&](PgDb &db) -> Result<std::vector<std::int64_t>> {
        const auto key = pg_use_stamp(db, stamp);
        if (!key)
            return key.error();
        std::map<std::string, std::int64_t> people;
        std::vector<std::int64_t> ids;
        for (const Enrolment &face : faces) {
            std::int64_t &person = people[face.person_id];
            if (person == 0) {
                auto found = db.integer("SELECT person FROM sphere_people WHERE id = $1",
                                        {face.person_id});
                if (found && *found == 0)
                    found = pg_add_person(db, face.person_id, 0);
                if (!found)
                    return found.error();
                person = *found;
            }
            const auto id = pg_add_face(db, face, person, *key);
            if (!id)
                return id.error();
            ids.push_back(*id);
        }
        std::string detail =
            std::to_string(ids.size()) + (ids.size() == 1 ? " face" : " faces");
        if (people.size() > 1)
            detail += " of " + std::to_string(people.size()) + " people";
        SPHERE_TRY(
            pg_audit(db, "enrol", people.size() == 1 ? people.begin()->second : 0, detail));
        return ids;
    });
}

Result<std::vector<Person>> PgStore::list_people() {
    return gallery_.read([](PgDb &db) -> Result<std::vector<Person>> {
        std::vector<Person> people;
        const auto done = db.query(
            "SELECT p.id, p.label, (SELECT count(*) FROM sphere_faces f WHERE f.person = "
            "p.person), p.threshold, p.attributes FROM sphere_people p WHERE p.stranger = 0 "
            "ORDER BY p.id",
            {}, [&](const PgRow &row) -> Result<void> {
                Person person{row.text(0),
                              row.text(1),
                              static_cast<int>(row.integer(2)),
                              {},
                              row.text(4)};
                if (!row.is_null(3))
                    person.threshold = row.real(3);
                people.push_back(std::move(person));
                return {};
            });
        if (!done)
            return done.error();
        return people;
    });
}

class PgAdmin final : public PeopleAdmin {
  public:
    explicit PgAdmin(const std::string &location) : gallery_(location) {}
    Result<void> attach() { return gallery_.attach(OpenMode::Existing); }

    Result<std::vector<std::int64_t>> apply(const std::vector<GalleryChange> &changes) override;
    Result<std::vector<std::int64_t>>
    rehearse(const std::vector<GalleryChange> &changes) override;
    Result<std::vector<FaceRecord>> list_faces(const std::string &person_id) override;
    Result<std::vector<std::uint8_t>> thumbnail(std::int64_t face_id) override;
    Result<GalleryNotes> notes(int newest_audit_entries) override;
    Result<GallerySnapshot> load(FaceKind kind) override {
        return gallery_.read([kind](PgDb &db) { return pg_snapshot(db, kind); });
    }

  private:
    PgGallery gallery_;
};

Result<std::vector<std::int64_t>> PgAdmin::apply(const std::vector<GalleryChange> &changes) {
    for (const GalleryChange &change : changes)
        SPHERE_TRY(check_change(change));
    if (changes.empty())
        return std::vector<std::int64_t>();
    return gallery_.write([&](PgDb &db) -> Result<std::vector<std::int64_t>> {
        std::vector<std::int64_t> numbers;
        for (const GalleryChange &change : changes) {
            const auto number = pg_apply(db, change);
            if (!number)
                return number.error();
            numbers.push_back(*number);
        }
        return numbers;
    });
}

Result<std::vector<std::int64_t>> PgAdmin::rehearse(const std::vector<GalleryChange> &changes) {
    for (const GalleryChange &change : changes)
        SPHERE_TRY(check_change(change));
    std::vector<std::int64_t> numbers;
    const auto done = gallery_.write([&](PgDb &db) -> Result<std::int64_t> {
        numbers.clear();
        for (const GalleryChange &change : changes) {
            const auto number = pg_apply(db, change);
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

Result<std::vector<FaceRecord>> PgAdmin::list_faces(const std::string &person_id) {
    return gallery_.read([&](PgDb &db) -> Result<std::vector<FaceRecord>> {
        std::vector<FaceRecord> faces;
        const auto done = db.query(
            "SELECT f.face, p.id, f.source, f.added_at, f.quarantined, f.thumbnail_jpeg IS NOT "
            "NULL, EXISTS (SELECT 1 FROM sphere_embeddings e JOIN sphere_gallery g ON g.stamp "
            "= "
            "e.stamp WHERE e.face = f.face), coalesce(f.thumbnail_template, ''), "
            "f.quality_score, f.sharpness, f.brightness, f.yaw_deg, f.pitch_deg, f.roll_deg, "
            "f.eye_distance_px FROM sphere_faces f JOIN sphere_people p ON p.person = f.person "
            "WHERE ($1::text = '' AND p.stranger = 0) OR p.id = $1::text ORDER BY p.id, f.face",
            {person_id}, [&](const PgRow &row) -> Result<void> {
                FaceRecord face;
                face.face_id = row.integer(0);
                face.person_id = row.text(1);
                face.source = row.text(2);
                face.added_at_ms = row.integer(3);
                face.quarantined = row.integer(4) != 0;
                face.has_thumbnail = row.integer(5) != 0;
                face.embedded = row.integer(6) != 0;
                face.thumbnail_template = row.text(7);
                if (!row.is_null(8)) {
                    Quality q;
                    int column = 8;
                    for (float *value : {&q.score, &q.sharpness, &q.brightness, &q.yaw_deg,
                                         &q.pitch_deg, &q.roll_deg, &q.eye_distance_px}) {
                        *value = row.is_null(column) ? std::nanf("") : row.real(column);
                        ++column;
                    }
                    face.quality = q;
                }
                faces.push_back(std::move(face));
                return {};
            });
        if (!done)
            return done.error();
        return faces;
    });
}

Result<std::vector<std::uint8_t>> PgAdmin::thumbnail(std::int64_t face_id) {
    return gallery_.read([&](PgDb &db) -> Result<std::vector<std::uint8_t>> {
        std::optional<std::vector<std::uint8_t>> jpeg;
        const auto done = db.query("SELECT thumbnail_jpeg FROM sphere_faces WHERE face = $1",
                                   {face_id}, [&](const PgRow &row) -> Result<void> {
                                       const auto bytes = row.bytes(0);
                                       jpeg.emplace(bytes.begin(), bytes.end());
                                       return {};
                                   });
        if (!done)
            return done.error();
        if (!jpeg)
            return fail(Errc::NotFound, "gallery ", db.name(), " has no face ", face_id);
        return *jpeg;
    });
}

Result<GalleryNotes> PgAdmin::notes(int newest_audit_entries) {
    return gallery_.read([&](PgDb &db) -> Result<GalleryNotes> {
        GalleryNotes notes;
        const auto negatives =
            db.query("SELECT n.negative, coalesce(p.id, ''), n.source, n.added_at FROM "
                     "sphere_negatives n "
                     "LEFT JOIN sphere_people p ON p.person = n.person ORDER BY 1",
                     {}, [&](const PgRow &row) -> Result<void> {
                         notes.negatives.push_back(
                             {row.integer(0), row.text(1), row.text(2), row.integer(3)});
                         return {};
                     });
        if (!negatives)
            return negatives.error();
        const auto strangers = db.query(
            "SELECT p.id, (SELECT count(*) FROM sphere_faces f WHERE f.person = p.person), "
            "count(v.visit), coalesce(min(v.first_seen), 0), coalesce(max(v.last_seen), 0) "
            "FROM "
            "sphere_people p LEFT JOIN sphere_visits v ON v.person = p.person WHERE p.stranger "
            "> 0 GROUP BY p.person ORDER BY p.stranger",
            {}, [&](const PgRow &row) -> Result<void> {
                notes.strangers.push_back({row.text(0), static_cast<int>(row.integer(1)),
                                           static_cast<int>(row.integer(2)), row.integer(3),
                                           row.integer(4)});
                return {};
            });
        if (!strangers)
            return strangers.error();
        const auto audit = db.query(
            "SELECT a.at, a.\"user\", a.action, coalesce(p.id, 'person ' || a.person, ''), "
            "a.detail FROM sphere_audit a LEFT JOIN sphere_people p ON p.person = a.person "
            "ORDER BY a.entry DESC LIMIT $1::bigint",
            {std::int64_t{newest_audit_entries}}, [&](const PgRow &row) -> Result<void> {
                notes.audit.push_back(
                    {row.integer(0), row.text(1), row.text(2), row.text(3), row.text(4)});
                return {};
            });
        if (!audit)
            return audit.error();
        return notes;
    });
}

} // namespace

Result<std::unique_ptr<Store>> open_postgres_store(const std::string &location, OpenMode mode) {
    auto store = std::make_unique<PgStore>(location);
    SPHERE_TRY(store->attach(mode));
    return std::unique_ptr<Store>(std::move(store));
}

Result<std::unique_ptr<PeopleAdmin>> open_postgres_admin(const std::string &location) {
    auto admin = std::make_unique<PgAdmin>(location);
    SPHERE_TRY(admin->attach());
    return std::unique_ptr<PeopleAdmin>(std::move(admin));
}

} // namespace sphere
