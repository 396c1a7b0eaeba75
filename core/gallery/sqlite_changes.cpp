// SPDX-License-Identifier: MIT
// The changes of PeopleAdmin on a gallery's tables.
#include "core/gallery/change_check.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_gallery.h"
#include "core/gallery/sqlite_writes.h"

namespace sphere {
namespace {

void bind_one(SqliteStatement &statement, int parameter, std::int64_t value) {
    statement.bind(parameter, value);
}
void bind_one(SqliteStatement &statement, int parameter, const std::string &value) {
    statement.bind(parameter, std::string_view(value));
}
void bind_one(SqliteStatement &statement, int parameter, const std::optional<float> &value) {
    if (value)
        statement.bind(parameter, static_cast<double>(*value));
    else
        statement.bind_null(parameter);
}
void bind_one(SqliteStatement &statement, int parameter,
              const std::vector<std::uint8_t> &value) {
    statement.bind(parameter, std::span<const std::uint8_t>(value));
}

/// The first column of the first row, 0 where there is none. Changes are rare: their statements
/// are not kept.
template <typename... Values>
Result<std::int64_t> query(SqliteDb &db, const char *sql, const Values &...values) {
    auto statement = db.prepare(sql);
    if (!statement)
        return statement.error();
    int parameter = 1;
    (bind_one(*statement, parameter++, values), ...);
    const auto row = statement->step();
    if (!row)
        return row.error();
    return *row ? statement->integer(0) : 0;
}

/// The number of changed rows.
template <typename... Values>
Result<std::int64_t> execute(SqliteDb &db, const char *sql, const Values &...values) {
    auto done = query(db, sql, values...);
    if (!done)
        return done;
    return db.changes();
}

class Applier {
  public:
    Applier(SqliteDb &db, SqliteStatements &statements, std::string action)
        : db_(db), statements_(statements), action_(std::move(action)) {}

    Result<std::int64_t> operator()(const SetPerson &change);
    Result<std::int64_t> operator()(const RenamePerson &change);
    Result<std::int64_t> operator()(const RemovePerson &change);
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
    Result<std::int64_t> person(const std::string &id) {
        return find_gallery_person(db_, statements_, id);
    }
    /// `id` as a person: found, or made.
    Result<std::int64_t> person_or_new(const std::string &id);
    Result<std::int64_t> each_face(const std::vector<std::int64_t> &faces, const char *sql,
                                   std::int64_t value);
    Result<std::int64_t> stranger(const std::string &id);
    Result<void> record_visit(const RecordSight &change, std::int64_t person);
    /// Writes the audit row and passes the number on.
    Result<std::int64_t> done(std::int64_t number, std::int64_t person,
                              const std::string &detail) {
        SPHERE_TRY(write_audit(statements_, action_, person, detail));
        return number;
    }
    static std::string faces_text(std::int64_t count) {
        return std::to_string(count) + (count == 1 ? " face" : " faces");
    }

    SqliteDb &db_;
    SqliteStatements &statements_;
    std::string action_;
};

Result<std::int64_t> Applier::operator()(const SetPerson &change) {
    auto key = person(change.id);
    if (!key)
        return key;
    std::string detail;
    auto set = [&](const char *sql, const auto &value, const char *what) -> Result<void> {
        detail += (detail.empty() ? "" : ", ") + std::string(what);
        auto changed = execute(db_, sql, value, *key);
        return changed ? Result<void>() : Result<void>(changed.error());
    };
    if (change.label)
        SPHERE_TRY(
            set("UPDATE people SET label = ?1 WHERE person = ?2", *change.label, "label"));
    if (change.threshold || change.common_threshold)
        SPHERE_TRY(set("UPDATE people SET threshold = ?1 WHERE person = ?2", change.threshold,
                       "threshold"));
    if (change.attributes)
        SPHERE_TRY(set("UPDATE people SET attributes = ?1 WHERE person = ?2",
                       *change.attributes, "attributes"));
    return done(1, *key, detail);
}

Result<std::int64_t> Applier::operator()(const RenamePerson &change) {
    auto key = person(change.from);
    if (!key)
        return key;
    if (stranger_number(change.from))
        return fail(Errc::InvalidArgument, change.from,
                    " is a stranger: make a person of them with: spherectl gallery promote ",
                    change.from, " ", change.to);
    auto taken = query(db_, "SELECT person FROM people WHERE id = ?1", change.to);
    if (!taken)
        return taken;
    if (*taken != 0)
        return fail(Errc::InvalidArgument, "gallery ", db_.path(), " has a person ", change.to,
                    " already: choose another id, or join the two with: spherectl gallery "
                    "rename --merge ",
                    change.from, " ", change.to);
    auto changed = execute(db_,
                           "UPDATE people SET label = CASE label WHEN id THEN ?1 ELSE "
                           "label END, id = ?1 WHERE person = ?2",
                           change.to, *key);
    return changed ? done(1, *key, "") : changed;
}

Result<std::int64_t> Applier::operator()(const RemovePerson &change) {
    SPHERE_TRY(remove_gallery_person(db_, statements_, change.id)); // has the audit row
    return std::int64_t{1};
}

Result<std::int64_t> Applier::each_face(const std::vector<std::int64_t> &faces, const char *sql,
                                        std::int64_t value) {
    for (const std::int64_t face : faces) {
        auto changed = execute(db_, sql, face, value);
        if (!changed)
            return changed;
        if (*changed == 0)
            return fail(Errc::NotFound, "gallery ", db_.path(), " has no face ", face,
                        ": spherectl gallery show lists the faces of a person");
    }
    return static_cast<std::int64_t>(faces.size());
}

Result<std::int64_t> Applier::operator()(const RemoveFaces &change) {
    auto removed =
        each_face(change.face_ids, "DELETE FROM faces WHERE face = ?1 AND ?2 = 0", 0);
    if (!removed)
        return removed;
    SPHERE_TRY(drop_unused_stamps(statements_));
    return done(*removed, 0, faces_text(*removed));
}

Result<std::int64_t> Applier::person_or_new(const std::string &id) {
    auto key = query(db_, "SELECT person FROM people WHERE id = ?1", id);
    if (key && *key == 0)
        key = add_gallery_person(db_, statements_, id, 0);
    return key;
}

Result<std::int64_t> Applier::operator()(const MoveFaces &change) {
    auto to = person_or_new(change.to);
    if (!to)
        return to;
    auto moved =
        each_face(change.face_ids, "UPDATE faces SET person = ?2 WHERE face = ?1", *to);
    return moved ? done(*moved, *to, faces_text(*moved)) : moved;
}

Result<std::int64_t> Applier::operator()(const QuarantineFaces &change) {
    auto set = each_face(change.face_ids, "UPDATE faces SET quarantined = ?2 WHERE face = ?1",
                         change.on ? 1 : 0);
    return set ? done(*set, 0, faces_text(*set)) : set;
}

Result<std::int64_t> Applier::operator()(const AddNegative &change) {
    std::int64_t key = 0;
    if (!change.person_id.empty()) {
        auto found = person(change.person_id);
        if (!found)
            return found;
        key = *found;
    }
    auto count = query(db_, "SELECT count(*) FROM negatives");
    if (!count)
        return count;
    if (*count >= static_cast<std::int64_t>(kMaxNegatives))
        return fail(Errc::InvalidArgument, "gallery ", db_.path(), " has ", *count,
                    " negatives, more are not possible: remove some");
    auto stamp = use_gallery_stamp(db_, statements_, change.stamp);
    if (!stamp)
        return stamp;
    auto added =
        execute(db_,
                "INSERT INTO negatives (person, stamp, added_at, source, "
                "vector) VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5)",
                key, *stamp, unix_time_ms(), change.source, to_little_endian(change.embedding));
    if (!added)
        return added;
    const std::int64_t negative = db_.last_insert_id();
    return done(negative, key, key == 0 ? "a face to ignore" : "not this person");
}

Result<std::int64_t> Applier::operator()(const RemoveNegative &change) {
    auto removed =
        execute(db_, "DELETE FROM negatives WHERE negative = ?1", change.negative_id);
    if (!removed)
        return removed;
    if (*removed == 0)
        return fail(Errc::NotFound, "gallery ", db_.path(), " has no negative ",
                    change.negative_id, ": spherectl gallery negative lists them");
    SPHERE_TRY(drop_unused_stamps(statements_));
    return done(1, 0, "");
}

Result<std::int64_t> Applier::operator()(const Reembed &change) {
    // Thumbnails stay as they are, of the template of before.
    for (const char *sql : {"UPDATE faces SET thumbnail_template = (SELECT s.template FROM "
                            "gallery g JOIN stamps s ON s.stamp = g.stamp) WHERE "
                            "thumbnail_jpeg IS NOT NULL AND thumbnail_template IS NULL",
                            "DELETE FROM embeddings", "DELETE FROM negatives"}) {
        auto removed = execute(db_, sql);
        if (!removed)
            return removed;
    }
    SPHERE_TRY(drop_unused_stamps(statements_));
    auto stamp = use_gallery_stamp(db_, statements_, change.stamp);
    if (!stamp)
        return stamp;
    for (const auto &[face, embedding] : change.faces) {
        auto there = query(db_, "SELECT count(*) FROM faces WHERE face = ?1", face);
        if (!there)
            return there;
        if (*there == 0)
            return fail(Errc::NotFound, "gallery ", db_.path(), " has no face ", face);
        auto added =
            execute(db_, "INSERT INTO embeddings (face, stamp, vector) VALUES (?1, ?2, ?3)",
                    face, *stamp, to_little_endian(embedding));
        if (!added)
            return added;
    }
    SPHERE_TRY(drop_unused_stamps(statements_)); // of no faces at all
    auto count = static_cast<std::int64_t>(change.faces.size());
    return done(count, 0, faces_text(count) + " by " + change.stamp.model);
}

/// The number of a stranger who is there.
Result<std::int64_t> Applier::stranger(const std::string &id) {
    return query(db_, "SELECT person FROM people WHERE id = ?1 AND stranger > 0", id);
}

Result<void> Applier::record_visit(const RecordSight &change, std::int64_t key) {
    auto visit = query(db_,
                       "SELECT visit FROM visits WHERE person = ?1 AND camera = ?2 AND "
                       "last_seen >= ?3 ORDER BY last_seen DESC LIMIT 1",
                       key, change.camera, change.at_ms - change.same_visit_ms);
    if (!visit)
        return visit.error();
    auto written =
        *visit != 0
            ? execute(db_, "UPDATE visits SET last_seen = max(last_seen, ?1) WHERE visit = ?2",
                      change.at_ms, *visit)
            : execute(db_,
                      "INSERT INTO visits (person, camera, first_seen, last_seen) "
                      "VALUES (?1, ?2, ?3, ?3)",
                      key, change.camera, change.at_ms);
    return written ? Result<void>() : Result<void>(written.error());
}

Result<std::int64_t> Applier::operator()(const RecordSight &change) {
    std::int64_t number = 0;
    std::int64_t key = 0;
    if (change.stranger_id.empty()) {
        auto taken = query(db_, "UPDATE gallery SET next_stranger = next_stranger + 1 "
                                "WHERE id = 1 RETURNING next_stranger - 1");
        if (!taken)
            return taken;
        if (*taken < 1)
            return damaged_gallery(db_, "its counter of strangers is gone");
        number = *taken;
        auto added =
            add_gallery_person(db_, statements_, "unknown-" + std::to_string(number), number);
        if (!added)
            return added;
        key = *added;
    } else {
        number = *stranger_number(change.stranger_id);
        auto found = stranger(change.stranger_id);
        if (!found)
            return found;
        if (*found == 0)
            return fail(Errc::NotFound, "gallery ", db_.path(), " has no stranger ",
                        change.stranger_id);
        key = *found;
    }
    if (change.face) {
        auto stamp = use_gallery_stamp(db_, statements_, *change.stamp);
        if (!stamp)
            return stamp;
        auto face = SqliteFaceWriter(db_, statements_, *stamp).add(*change.face, key);
        if (!face)
            return face;
    }
    SPHERE_TRY(record_visit(change, key));
    return number;
}

Result<std::int64_t> Applier::operator()(const PromoteStranger &change) {
    auto from = stranger(change.stranger_id);
    if (!from)
        return from;
    if (*from == 0)
        return fail(Errc::NotFound, "gallery ", db_.path(), " has no stranger ",
                    change.stranger_id,
                    ": spherectl gallery list --strangers shows who was seen");
    auto to = query(db_, "SELECT person FROM people WHERE id = ?1", change.to);
    if (!to)
        return to;
    if (*to == 0) {
        auto renamed = execute(
            db_, "UPDATE people SET id = ?1, label = ?1, stranger = 0 WHERE person = ?2",
            change.to, *from);
        return renamed ? done(1, *from, change.stranger_id) : renamed;
    }
    for (const char *sql : {"UPDATE faces SET person = ?1 WHERE person = ?2",
                            "UPDATE visits SET person = ?1 WHERE person = ?2",
                            "DELETE FROM people WHERE person = ?2 AND ?1 = ?1"}) {
        auto moved = execute(db_, sql, *to, *from);
        if (!moved)
            return moved;
    }
    return done(1, *to, change.stranger_id);
}

Result<std::int64_t> Applier::operator()(const ExpireStrangers &change) {
    auto removed = execute(
        db_,
        "DELETE FROM people WHERE stranger > 0 AND person IN (SELECT person FROM "
        "(SELECT p.person, max(v.last_seen) AS seen FROM people p JOIN visits v ON "
        "v.person = p.person WHERE p.stranger > 0 GROUP BY p.person ORDER BY seen DESC, "
        "p.person DESC LIMIT -1 OFFSET ?2) UNION SELECT p.person FROM people p JOIN "
        "visits v ON v.person = p.person WHERE p.stranger > 0 GROUP BY p.person HAVING "
        "max(v.last_seen) < ?1)",
        change.before_ms, std::int64_t{change.most});
    if (!removed || *removed == 0)
        return removed;
    SPHERE_TRY(drop_unused_stamps(statements_));
    return done(*removed, 0, std::to_string(*removed) + " strangers");
}

} // namespace

Result<std::int64_t> apply_gallery_change(SqliteDb &db, SqliteStatements &statements,
                                          const GalleryChange &change) {
    return std::visit(Applier(db, statements, audit_action(change)), change);
}

} // namespace sphere
