// SPDX-License-Identifier: MIT
// What comes out of a gallery file is checked here.
#include "core/gallery/sqlite_reads.h"

#include "core/gallery/limits.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace sphere {

Error damaged_gallery(const SqliteDb &db, const std::string &what) {
    return fail(Errc::Corrupt, "gallery ", db.path(), " is damaged: ", what,
                ". Restore it from a copy, or enrol into a new file");
}

Result<std::int64_t> read_gallery_version(SqliteDb &db, SqliteStatements &statements) {
    const auto row = statements.version.step();
    if (!row)
        return row.error();
    if (!*row || !statements.version.is_integer(0))
        return damaged_gallery(db, "its version counter is gone");
    const std::int64_t version = statements.version.integer(0);
    statements.version.reset();
    return version;
}

Result<std::optional<StoredStamp>> read_active_stamp(SqliteDb &db,
                                                     SqliteStatements &statements) {
    SqliteStatement &query = statements.active_stamp;
    const auto row = query.step();
    if (!row)
        return row.error();
    if (!*row)
        return std::optional<StoredStamp>();
    const std::int64_t dims = query.integer(1);
    StoredStamp stored;
    stored.key = query.integer(0);
    stored.stamp.model = query.text(2);
    stored.stamp.sha256 = query.text(3);
    stored.stamp.preprocessing = query.text(4);
    stored.stamp.template_name = query.text(5);
    stored.stamp.flip = query.text(6);
    query.reset();
    if (dims < 1 || dims > kMaxDims)
        return damaged_gallery(db, "its stamp has " + std::to_string(dims) + " dimensions");
    stored.stamp.dims = static_cast<int>(dims);
    return std::optional(std::move(stored));
}

Result<std::vector<Person>> read_gallery_people(SqliteDb &db, SqliteStatements &statements) {
    std::vector<Person> people;
    SqliteStatement &query = statements.list_people;
    for (;;) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return people;
        people.push_back({std::string(query.text(0)), std::string(query.text(1)),
                          static_cast<int>(query.integer(2))});
        Person &person = people.back();
        if (!query.is_null(3))
            person.threshold = static_cast<float>(query.real(3));
        person.attributes = query.text(4);
        if (person.id.empty() || person.id.size() > kMaxPersonIdBytes ||
            person.label.size() > kMaxTextBytes || person.faces < 0 ||
            person.attributes.size() > kMaxAttributesBytes ||
            (person.threshold &&
             !(std::isfinite(*person.threshold) && *person.threshold >= 0)) ||
            people.size() > static_cast<std::size_t>(kMaxFaces)) {
            query.reset();
            return damaged_gallery(db, "what it says of a person is not possible");
        }
    }
}

std::vector<float> from_little_endian(std::span<const std::uint8_t> bytes) {
    std::vector<float> values(bytes.size() / 4);
    if constexpr (std::endian::native == std::endian::little) {
        if (!values.empty())
            std::memcpy(values.data(), bytes.data(), values.size() * 4);
        return values;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint32_t bits = 0;
        for (std::size_t b = 0; b < 4; ++b)
            bits |= static_cast<std::uint32_t>(bytes[4 * i + b]) << (8 * b);
        values[i] = std::bit_cast<float>(bits);
    }
    return values;
}

namespace {

/// The face in the row that the load statement stands at.
Result<EnrolledFace> read_face(const SqliteDb &db, const SqliteStatements &statements,
                               int dims) {
    const SqliteStatement &query = statements.load;
    EnrolledFace face;
    face.face_id = query.integer(0);
    const std::string name = "face " + std::to_string(face.face_id);
    face.person_id = query.text(1);
    face.label = query.text(2);
    if (query.is_null(1) || face.person_id.empty())
        return damaged_gallery(db, name + " belongs to nobody");
    if (face.person_id.size() > kMaxPersonIdBytes || face.label.size() > kMaxTextBytes)
        return damaged_gallery(db, name + " has a person whose id or label is too long");
    const std::span<const std::uint8_t> bytes = query.blob(3);
    if (bytes.size() != static_cast<std::size_t>(dims) * 4)
        return damaged_gallery(db, name + " has an embedding of " +
                                       std::to_string(bytes.size()) + " bytes instead of " +
                                       std::to_string(dims * 4));
    face.embedding = from_little_endian(bytes);
    for (const float value : face.embedding)
        if (!std::isfinite(value))
            return damaged_gallery(db,
                                   name + " has an embedding with a value that is not finite");
    return face;
}

/// Damaged or hostile pages can show one row many times: no more can be there than the file
/// holds.
Result<std::int64_t> most_embeddings(SqliteDb &db, int dims) {
    const auto pages = db.query_integer("PRAGMA page_count");
    const auto page_bytes = db.page_bytes();
    if (!pages || !page_bytes)
        return damaged_gallery(db, "its size cannot be read");
    const std::int64_t row_bytes = std::int64_t{dims} * 4;
    return std::min(
        {*pages * *page_bytes / row_bytes, kMaxSnapshotBytes / row_bytes, kMaxFaces});
}

/// The negative in the row that the statement stands at.
Result<NegativeFace> read_negative(const SqliteDb &db, const SqliteStatements &statements,
                                   int dims) {
    const SqliteStatement &query = statements.load_negatives;
    NegativeFace negative;
    negative.negative_id = query.integer(0);
    const std::string name = "negative " + std::to_string(negative.negative_id);
    negative.person_id = query.text(2);
    if (!query.is_null(1) && negative.person_id.empty())
        return damaged_gallery(db, name + " belongs to nobody");
    const std::span<const std::uint8_t> bytes = query.blob(3);
    if (bytes.size() != static_cast<std::size_t>(dims) * 4)
        return damaged_gallery(db, name + " has an embedding of another size");
    negative.embedding = from_little_endian(bytes);
    for (const float value : negative.embedding)
        if (!std::isfinite(value))
            return damaged_gallery(db, name + " has a value that is not finite");
    return negative;
}

Result<void> read_thresholds(SqliteDb &db, SqliteStatements &statements,
                             GallerySnapshot &snapshot) {
    SqliteStatement &query = statements.load_thresholds;
    for (;;) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return {};
        const auto threshold = static_cast<float>(query.real(1));
        if (!std::isfinite(threshold) || threshold < 0 ||
            snapshot.thresholds.size() > static_cast<std::size_t>(kMaxFaces)) {
            query.reset();
            return damaged_gallery(db, "a person's threshold is not a distance");
        }
        snapshot.thresholds.emplace(query.text(0), threshold);
    }
}

/// What the matcher needs besides faces.
Result<void> read_decision_aids(SqliteDb &db, SqliteStatements &statements,
                                std::int64_t stamp_key, GallerySnapshot &snapshot) {
    SPHERE_TRY(read_thresholds(db, statements, snapshot));
    SqliteStatement &query = statements.load_negatives;
    query.bind(1, stamp_key);
    for (;;) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return {};
        auto negative = snapshot.negatives.size() < kMaxNegatives
                            ? read_negative(db, statements, snapshot.stamp->dims)
                            : damaged_gallery(db, "it shows more negatives than it can hold");
        if (!negative) {
            query.reset();
            return negative.error();
        }
        snapshot.negatives.push_back(std::move(*negative));
    }
}

} // namespace

Result<GallerySnapshot> read_gallery_snapshot(SqliteDb &db, SqliteStatements &statements,
                                              FaceKind kind) {
    // One transaction: the version and the rows are of the same moment.
    auto transaction = SqliteTransaction::begin(db, SqliteTransaction::Kind::Read);
    if (!transaction)
        return transaction.error();
    GallerySnapshot snapshot;
    const auto version = read_gallery_version(db, statements);
    if (!version)
        return version.error();
    snapshot.version = *version;
    const auto active = read_active_stamp(db, statements);
    if (!active)
        return active.error();
    if (!*active)
        return snapshot;
    snapshot.stamp = (*active)->stamp;

    const auto most = most_embeddings(db, snapshot.stamp->dims);
    if (!most)
        return most.error();
    if (kind == FaceKind::Known)
        SPHERE_TRY(read_decision_aids(db, statements, (*active)->key, snapshot));
    SqliteStatement &query = statements.load;
    query.bind(1, (*active)->key);
    query.bind(2, static_cast<std::int64_t>(kind));
    for (;;) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return snapshot;
        auto face = static_cast<std::int64_t>(snapshot.faces.size()) < *most
                        ? read_face(db, statements, snapshot.stamp->dims)
                        : damaged_gallery(db, "it shows more embeddings than it can hold");
        if (!face) {
            query.reset();
            return face.error();
        }
        snapshot.faces.push_back(std::move(*face));
    }
}

} // namespace sphere
