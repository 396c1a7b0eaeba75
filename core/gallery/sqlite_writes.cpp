// SPDX-License-Identifier: MIT
// Faces and people into a gallery's tables, and out of them.
#include "core/gallery/sqlite_writes.h"

#include "core/gallery/change_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_gallery.h"

namespace sphere {

Result<void> write_audit(SqliteStatements &statements, const std::string &action,
                         std::int64_t person, const std::string &detail) {
    SqliteStatement &insert = statements.insert_audit;
    insert.bind(1, unix_time_ms());
    insert.bind(2, std::string_view(audit_user()));
    insert.bind(3, std::string_view(action));
    if (person > 0)
        insert.bind(4, person);
    insert.bind(5, std::string_view(detail));
    return insert.run();
}

namespace {

/// The number of the person or stranger, 0 where there is none.
Result<std::int64_t> look_up(SqliteStatements &statements, const std::string &id) {
    SqliteStatement &find = statements.find_person;
    find.bind(1, std::string_view(id));
    const auto row = find.step();
    if (!row)
        return row.error();
    if (!*row)
        return std::int64_t{0};
    const std::int64_t person = find.integer(0);
    find.reset();
    return person;
}

} // namespace

Result<std::int64_t> find_gallery_person(SqliteDb &db, SqliteStatements &statements,
                                         const std::string &id) {
    auto person = look_up(statements, id);
    if (person && *person == 0)
        return fail(Errc::NotFound, "gallery ", db.path(), " has no person \"", id,
                    "\": spherectl gallery list --gallery ", db.path(), " shows who is there");
    return person;
}

Result<std::int64_t> add_gallery_person(SqliteDb &db, SqliteStatements &statements,
                                        const std::string &id, std::int64_t stranger) {
    const auto row = statements.take_person_number.step();
    if (!row)
        return row.error();
    const std::int64_t person = *row ? statements.take_person_number.integer(0) : 0;
    statements.take_person_number.reset();
    if (person < 1)
        return damaged_gallery(db, "its counter of people is gone");
    statements.insert_person.bind(1, person);
    statements.insert_person.bind(2, std::string_view(id));
    statements.insert_person.bind(3, stranger);
    SPHERE_TRY(statements.insert_person.run());
    return person;
}

Result<std::int64_t> SqliteFaceWriter::person_number(const std::string &id) {
    const auto known = people_.find(id);
    if (known != people_.end())
        return known->second;
    auto person = look_up(statements_, id);
    if (person && *person == 0)
        person = add_gallery_person(db_, statements_, id, 0);
    if (person)
        people_.emplace(id, *person);
    return person;
}

Result<std::int64_t> SqliteFaceWriter::add(const Enrolment &enrolment) {
    const auto person = person_number(enrolment.person_id);
    if (!person)
        return person.error();
    return add(enrolment, *person);
}

Result<std::int64_t> SqliteFaceWriter::add(const Enrolment &enrolment, std::int64_t person) {
    SqliteStatement &face = statements_.insert_face;
    face.bind(1, person);
    face.bind(2, enrolment.added_at_ms != 0 ? enrolment.added_at_ms : unix_time_ms());
    face.bind(3, std::string_view(enrolment.source));
    if (enrolment.quality) {
        const Quality &q = *enrolment.quality;
        int parameter = 4;
        for (const float value : {q.score, q.sharpness, q.brightness, q.yaw_deg, q.pitch_deg,
                                  q.roll_deg, q.eye_distance_px})
            face.bind(parameter++, static_cast<double>(value));
    }
    if (!enrolment.thumbnail_jpeg.empty())
        face.bind(11, std::span<const std::uint8_t>(enrolment.thumbnail_jpeg));
    if (!enrolment.thumbnail_template.empty())
        face.bind(12, std::string_view(enrolment.thumbnail_template));
    SPHERE_TRY(face.run());
    const std::int64_t face_id = db_.last_insert_id();

    const std::vector<std::uint8_t> bytes = to_little_endian(enrolment.embedding);
    statements_.insert_embedding.bind(1, face_id);
    statements_.insert_embedding.bind(2, stamp_key_);
    statements_.insert_embedding.bind(3, std::span<const std::uint8_t>(bytes));
    SPHERE_TRY(statements_.insert_embedding.run());
    ++faces_;
    return face_id;
}

Result<void> SqliteFaceWriter::finish() {
    const auto row = statements_.count_faces.step();
    if (!row)
        return row.error();
    const std::int64_t count = statements_.count_faces.integer(0);
    statements_.count_faces.reset();
    if (count > kMaxFaces)
        return fail(Errc::InvalidArgument, "gallery ", db_.path(), ": more than ", kMaxFaces,
                    " faces are not possible in one gallery");
    std::string detail = std::to_string(faces_) + (faces_ == 1 ? " face" : " faces");
    if (people_.size() > 1)
        detail += " of " + std::to_string(people_.size()) + " people";
    return write_audit(statements_, "enrol", people_.size() == 1 ? people_.begin()->second : 0,
                       detail);
}

Result<void> drop_unused_stamps(SqliteStatements &statements) {
    SPHERE_TRY(statements.drop_unused_stamp.run());
    return statements.delete_unused_stamps.run();
}

Result<void> remove_gallery_person(SqliteDb &db, SqliteStatements &statements,
                                   const std::string &id) {
    const auto person = find_gallery_person(db, statements, id);
    if (!person)
        return person.error();
    statements.delete_person.bind(1, *person);
    SPHERE_TRY(statements.delete_person.run());
    SPHERE_TRY(drop_unused_stamps(statements));
    return write_audit(statements, "remove", *person, "");
}

} // namespace sphere
