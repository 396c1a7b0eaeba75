// SPDX-License-Identifier: MIT
// The changes of PeopleAdmin on a PostgreSQL server.
#include "core/gallery/change_check.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/postgres_gallery.h"

namespace sphere {
namespace {

class Applier {
  public:
    Applier(PgDb &db, std::string action) : db_(db), action_(std::move(action)) {}

    Result<std::int64_t> operator()(const SetPerson &change);
    Result<std::int64_t> operator()(const RenamePerson &change);
    Result<std::int64_t> operator()(const RemovePerson &change) {
        SPHERE_TRY(pg_remove_person(db_, change.id)); // has the audit row
        return std::int64_t{1};
    }
    Result<std::int64_t> operator()(const RemoveFaces &change);
    Result<std::int64_t> operator()(const MoveFaces &change);
    Result<std::int64_t> operator()(const QuarantineFaces &change);
    Result<std::int64_t> operator()(const AddNegative &change);
    Result<std::int64_t> operator()(const RemoveNegative &change);
    Result<std::int64_t> operator()(const Reembed &change);
    Result<std::int64_t> operator()(const RecordSight &change);
    Result<std::int64_t> operator()(const PromoteStranger &change);
    Result<std::int64_t> operator()(const ExpireStrangers &change);

  private:
    Result<std::int64_t> find(const std::string &id) {
        return db_.integer("SELECT person FROM sphere_people WHERE id = $1", {id});
    }
    Result<std::int64_t> find_stranger(const std::string &id);
    Result<std::int64_t> each_face(const std::vector<std::int64_t> &faces, const char *sql,
                                   std::int64_t value);
    Result<std::int64_t> new_stranger(std::int64_t &number);
    Result<void> record_visit(const RecordSight &change, std::int64_t person);
    Result<std::int64_t> done(std::int64_t number, std::int64_t person,
                              const std::string &detail) {
        SPHERE_TRY(pg_audit(db_, action_, person, detail));
        return number;
    }
    static std::string faces_text(std::int64_t count) {
        return std::to_string(count) + (count == 1 ? " face" : " faces");
    }

    PgDb &db_;
    std::string action_;
};

Result<std::int64_t> Applier::operator()(const SetPerson &change) {
    auto key = pg_find_person(db_, change.id);
    if (!key)
        return key;
    std::string detail;
    auto set = [&](const char *sql, PgValue value, const char *what) -> Result<void> {
        detail += (detail.empty() ? "" : ", ") + std::string(what);
        auto changed = db_.query(sql, {std::move(value), *key});
        return changed ? Result<void>() : Result<void>(changed.error());
    };
    if (change.label)
        SPHERE_TRY(set("UPDATE sphere_people SET label = $1 WHERE person = $2", *change.label,
                       "label"));
    if (change.threshold || change.common_threshold)
        SPHERE_TRY(set("UPDATE sphere_people SET threshold = $1 WHERE person = $2",
                       change.threshold, "threshold"));
    if (change.attributes)
        SPHERE_TRY(set("UPDATE sphere_people SET attributes = $1 WHERE person = $2",
                       *change.attributes, "attributes"));
    return done(1, *key, detail);
}

Result<std::int64_t> Applier::operator()(const RenamePerson &change) {
    auto key = pg_find_person(db_, change.from);
    if (!key)
        return key;
    if (stranger_number(change.from))
        return fail(Errc::InvalidArgument, change.from,
                    " is a stranger: make a person of them with: spherectl gallery promote ",
                    change.from, " ", change.to);
    auto taken = find(change.to);
    if (!taken)
        return taken;
    if (*taken != 0)
        return fail(Errc::InvalidArgument, "gallery ", db_.name(), " has a person ", change.to,
                    " already: choose another id, or join the two with: spherectl gallery "
                    "rename --merge ",
                    change.from, " ", change.to);
    auto changed =
        db_.query("UPDATE sphere_people SET label = CASE label WHEN id THEN $1 ELSE label END, "
                  "id = $1 WHERE person = $2",
                  {change.to, *key});
    return changed ? done(1, *key, "") : changed;
}

Result<std::int64_t> Applier::each_face(const std::vector<std::int64_t> &faces, const char *sql,
                                        std::int64_t value) {
    for (const std::int64_t face : faces) {
        auto changed = db_.query(sql, {face, value});
        if (!changed)
            return changed;
        if (*changed == 0)
            return fail(Errc::NotFound, "gallery ", db_.name(), " has no face ", face,
                        ": spherectl gallery show lists the faces of a person");
    }
    return static_cast<std::int64_t>(faces.size());
}

Result<std::int64_t> Applier::operator()(const RemoveFaces &change) {
    auto removed = each_face(change.face_ids,
                             "DELETE FROM sphere_faces WHERE face = $1 AND $2::bigint = 0", 0);
    if (!removed)
        return removed;
    SPHERE_TRY(pg_drop_unused_stamps(db_));
    return done(*removed, 0, faces_text(*removed));
}

Result<std::int64_t> Applier::operator()(const MoveFaces &change) {
    auto to = find(change.to);
    if (to && *to == 0)
        to = pg_add_person(db_, change.to, 0);
    if (!to)
        return to;
    auto moved =
        each_face(change.face_ids, "UPDATE sphere_faces SET person = $2 WHERE face = $1", *to);
    return moved ? done(*moved, *to, faces_text(*moved)) : moved;
}

Result<std::int64_t> Applier::operator()(const QuarantineFaces &change) {
    auto set =
        each_face(change.face_ids,
                  "UPDATE sphere_faces SET quarantined = ($2::bigint = 1) WHERE face = $1",
                  change.on ? 1 : 0);
    return set ? done(*set, 0, faces_text(*set)) : set;
}

Result<std::int64_t> Applier::operator()(const AddNegative &change) {
    std::int64_t key = 0;
    if (!change.person_id.empty()) {
        auto found = pg_find_person(db_, change.person_id);
        if (!found)
            return found;
        key = *found;
    }
    auto count = db_.integer("SELECT count(*) FROM sphere_negatives");
    if (!count)
        return count;
    if (*count >= static_cast<std::int64_t>(kMaxNegatives))
        return fail(Errc::InvalidArgument, "gallery ", db_.name(), " has ", *count,
                    " negatives, more are not possible: remove some");
    auto stamp = pg_use_stamp(db_, change.stamp);
    if (!stamp)
        return stamp;
    auto negative =
        db_.integer("INSERT INTO sphere_negatives (person, stamp, added_at, source, vector) "
                    "VALUES (nullif($1::bigint, 0), $2, $3, $4, $5) RETURNING negative",
                    {key, *stamp, unix_time_ms(), change.source,
                     PgValue::bytes(pg_vector(change.embedding))});
    if (!negative)
        return negative;
    return done(*negative, key, key == 0 ? "a face to ignore" : "not this person");
}

Result<std::int64_t> Applier::operator()(const RemoveNegative &change) {
    auto removed =
        db_.query("DELETE FROM sphere_negatives WHERE negative = $1", {change.negative_id});
    if (!removed)
        return removed;
    if (*removed == 0)
        return fail(Errc::NotFound, "gallery ", db_.name(), " has no negative ",
                    change.negative_id, ": spherectl gallery negative lists them");
    SPHERE_TRY(pg_drop_unused_stamps(db_));
    return done(1, 0, "");
}

Result<std::int64_t> Applier::operator()(const Reembed &change) {
    for (const char *sql :
         {"UPDATE sphere_faces SET thumbnail_template = (SELECT s.template FROM sphere_gallery "
          "g "
          "JOIN sphere_stamps s ON s.stamp = g.stamp) WHERE thumbnail_jpeg IS NOT NULL AND "
          "thumbnail_template IS NULL",
          "DELETE FROM sphere_embeddings", "DELETE FROM sphere_negatives"})
        if (auto changed = db_.query(sql); !changed)
            return changed;
    SPHERE_TRY(pg_drop_unused_stamps(db_));
    auto stamp = pg_use_stamp(db_, change.stamp);
    if (!stamp)
        return stamp;
    for (const auto &[face, embedding] : change.faces) {
        auto added = pg_add_embedding(db_, face, *stamp, embedding);
        if (!added)
            return added;
        if (*added == 0)
            return fail(Errc::NotFound, "gallery ", db_.name(), " has no face ", face);
    }
    SPHERE_TRY(pg_drop_unused_stamps(db_)); // of no faces at all
    auto count = static_cast<std::int64_t>(change.faces.size());
    return done(count, 0, faces_text(count) + " by " + change.stamp.model);
}

Result<std::int64_t> Applier::find_stranger(const std::string &id) {
    auto key =
        db_.integer("SELECT person FROM sphere_people WHERE id = $1 AND stranger > 0", {id});
    if (key && *key == 0)
        return fail(Errc::NotFound, "gallery ", db_.name(), " has no stranger ", id,
                    ": spherectl gallery list --strangers shows who was seen");
    return key;
}

Result<std::int64_t> Applier::new_stranger(std::int64_t &number) {
    auto taken = db_.integer("UPDATE sphere_gallery SET next_stranger = next_stranger + 1 "
                             "WHERE id = 1 RETURNING next_stranger - 1");
    if (!taken)
        return taken;
    number = *taken;
    return pg_add_person(db_, "unknown-" + std::to_string(number), number);
}

Result<void> Applier::record_visit(const RecordSight &change, std::int64_t person) {
    const auto visit =
        db_.integer("SELECT visit FROM sphere_visits WHERE person = $1 AND camera "
                    "= $2 AND last_seen >= $3 ORDER BY last_seen DESC LIMIT 1",
                    {person, change.camera, change.at_ms - change.same_visit_ms});
    if (!visit)
        return visit.error();
    auto written =
        *visit != 0
            ? db_.query("UPDATE sphere_visits SET last_seen = greatest(last_seen, $1::bigint) "
                        "WHERE visit = $2",
                        {change.at_ms, *visit})
            : db_.query("INSERT INTO sphere_visits (person, camera, first_seen, last_seen) "
                        "VALUES ($1, $2, $3, $3)",
                        {person, change.camera, change.at_ms});
    return written ? Result<void>() : Result<void>(written.error());
}

Result<std::int64_t> Applier::operator()(const RecordSight &change) {
    std::int64_t number = 0;
    if (!change.stranger_id.empty())
        number = *stranger_number(change.stranger_id);
    auto key =
        change.stranger_id.empty() ? new_stranger(number) : find_stranger(change.stranger_id);
    if (!key)
        return key;
    if (change.face) {
        auto stamp = pg_use_stamp(db_, *change.stamp);
        if (!stamp)
            return stamp;
        if (auto face = pg_add_face(db_, *change.face, *key, *stamp); !face)
            return face;
    }
    SPHERE_TRY(record_visit(change, *key));
    return number;
}

Result<std::int64_t> Applier::operator()(const PromoteStranger &change) {
    auto from = find_stranger(change.stranger_id);
    if (!from)
        return from;
    auto to = find(change.to);
    if (!to)
        return to;
    if (*to == 0) {
        auto renamed = db_.query(
            "UPDATE sphere_people SET id = $1, label = $1, stranger = 0 WHERE person = $2",
            {change.to, *from});
        return renamed ? done(1, *from, change.stranger_id) : renamed;
    }
    for (const char *sql : {"UPDATE sphere_faces SET person = $1 WHERE person = $2",
                            "UPDATE sphere_visits SET person = $1 WHERE person = $2",
                            "DELETE FROM sphere_people WHERE person = $2 AND $1::bigint > 0"})
        if (auto moved = db_.query(sql, {*to, *from}); !moved)
            return moved;
    return done(1, *to, change.stranger_id);
}

Result<std::int64_t> Applier::operator()(const ExpireStrangers &change) {
    auto removed = db_.query(
        "WITH seen AS (SELECT p.person, max(v.last_seen) AS at FROM sphere_people p JOIN "
        "sphere_visits v ON v.person = p.person WHERE p.stranger > 0 GROUP BY p.person) DELETE "
        "FROM sphere_people WHERE person IN (SELECT person FROM seen WHERE at < $1) OR person "
        "IN "
        "(SELECT person FROM seen ORDER BY at DESC, person DESC OFFSET $2)",
        {change.before_ms, std::int64_t{change.most}});
    if (!removed || *removed == 0)
        return removed;
    SPHERE_TRY(pg_drop_unused_stamps(db_));
    return done(*removed, 0, std::to_string(*removed) + " strangers");
}

} // namespace

Result<std::int64_t> pg_apply(PgDb &db, const GalleryChange &change) {
    return std::visit(Applier(db, audit_action(change)), change);
}

} // namespace sphere
