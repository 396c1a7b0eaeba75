// SPDX-License-Identifier: MIT
// Search by pgvector: a column beside each embedding, an HNSW index a stamp, the query.
#include "core/gallery/pgvector.h"

#include "core/gallery/index_rows.h"
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_reads.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>

namespace sphere {
namespace {

constexpr PgVectorType kCosine{"near_cosine", "halfvec", "halfvec_ip_ops", "<#>", 4000};
constexpr PgVectorType kEuclidean{"near_euclidean", "vector", "vector_l2_ops", "<->", 2000};

// docs/search.md has the recall that was measured with these.
constexpr int kNeighbours = 24;          ///< m
constexpr int kBuildWidth = 128;         ///< ef_construction
constexpr std::size_t kWidth = 400;      ///< ef_search, at least
constexpr std::size_t kMostWidth = 1000; ///< that pgvector takes
constexpr std::size_t kMostFound = 4096; ///< of one query: beyond, all is one person's
constexpr int kRowsAtOnce = 500;         ///< that get their column in one statement

std::string index_name(const PgVectorType &type, std::int64_t stamp) {
    return "sphere_" + std::string(type.column) + "_" + std::to_string(stamp);
}

std::string typed(const std::string &expression, const PgVectorType &type, int dims) {
    return expression + "::" + type.type + "(" + std::to_string(dims) + ")";
}

/// Each row of the stamp without its column gets it; in transactions of their own, so that
/// writers do not wait for all.
Result<std::int64_t> fill_column(PgGallery &gallery, const PgVectorType &type, Metric metric,
                                 const PgStamp &stamp,
                                 const std::function<void(std::int64_t)> &progress) {
    const std::string select = "SELECT face, vector FROM sphere_embeddings WHERE stamp = $1 "
                               "AND face > $2 AND " +
                               std::string(type.column) + " IS NULL ORDER BY face LIMIT " +
                               std::to_string(kRowsAtOnce);
    const std::string update =
        "UPDATE sphere_embeddings e SET " + std::string(type.column) +
        " = n.near::" + type.type +
        " FROM (SELECT unnest($1::bigint[]) AS face, unnest($2::text[]) AS near) n "
        "WHERE e.face = n.face AND e.stamp = $3";
    std::int64_t filled = 0;
    for (std::int64_t last = 0;;) {
        std::string faces = "{";
        std::string vectors = "{";
        const auto done = gallery.change([&](PgDb &db) -> Result<std::int64_t> {
            const auto read = db.query(
                select.c_str(), {stamp.key, last}, [&](const PgRow &row) -> Result<void> {
                    last = row.integer(0);
                    const auto values = from_little_endian(row.bytes(1));
                    if (values.size() != static_cast<std::size_t>(stamp.stamp.dims))
                        return fail(Errc::Corrupt, "gallery ", db.name(), " is damaged: face ",
                                    last,
                                    " has an embedding of another size. Restore it from a "
                                    "backup");
                    faces += (faces.size() > 1 ? "," : "") + std::to_string(last);
                    vectors += (vectors.size() > 1 ? ",\"" : "\"") +
                               pgvector_text(metric, values) + "\"";
                    return {};
                });
            if (!read)
                return read.error();
            if (faces.size() == 1)
                return std::int64_t{0};
            return db.query(update.c_str(), {faces + "}", vectors + "}", stamp.key});
        });
        if (!done || *done == 0)
            return done ? Result<std::int64_t>(filled) : done;
        filled += *done;
        progress(filled);
    }
}

class PgFaceSearch final : public FaceSearch {
  public:
    PgFaceSearch(const std::string &location, const PgStamp &stamp, Metric metric)
        : db_(location), metric_(metric), dims_(static_cast<std::size_t>(stamp.stamp.dims)) {
        const PgVectorType &type = pgvector_type(metric);
        // The stamp is written out: the planner takes a partial index for a constant only.
        sql_ = "SELECT e.face, p.id, p.label, e.vector FROM sphere_embeddings e JOIN "
               "sphere_faces f ON f.face = e.face JOIN sphere_people p ON p.person = f.person "
               "WHERE e.stamp = " +
               std::to_string(stamp.key) +
               " AND NOT f.quarantined AND p.stranger = 0 ORDER BY e." +
               typed(type.column, type, stamp.stamp.dims) + " " + type.nearness + " " +
               typed("$1::text", type, stamp.stamp.dims) + " LIMIT $2::bigint";
        // The first face at or behind each of so many places between the first and the last.
        const std::string of_stamp = "stamp = " + std::to_string(stamp.key);
        sample_sql_ =
            "WITH ends AS (SELECT min(face) AS first, max(face) AS last FROM sphere_embeddings "
            "WHERE " +
            of_stamp +
            ") SELECT DISTINCT ON (e.face) e.face, p.id, (SELECT count(*) FROM sphere_faces o "
            "JOIN sphere_embeddings x ON x.face = o.face WHERE o.person = p.person AND NOT "
            "o.quarantined AND x." +
            of_stamp +
            "), e.vector FROM ends CROSS JOIN generate_series(0, $1::bigint - 1) n CROSS JOIN "
            "LATERAL (SELECT face, vector FROM sphere_embeddings WHERE " +
            of_stamp +
            " AND face >= first + ((last - first) * n::float8 / greatest($1::bigint - 1, 1))"
            "::bigint ORDER BY face LIMIT 1) e JOIN sphere_faces f ON f.face = e.face JOIN "
            "sphere_people p ON p.person = f.person WHERE NOT f.quarantined AND p.stranger = 0";
    }
    Result<std::vector<FoundFace>> nearest(std::span<const float> query,
                                           std::size_t k) const override;
    Result<FaceSample> sample(std::size_t count) const override;

  private:
    Error damaged(std::int64_t face) const {
        return fail(Errc::Corrupt, "gallery ", db_.name(), " is damaged: face ", face,
                    " is not one of gst-sphere's");
    }
    bool is_sound(std::size_t values, const std::string &person) const {
        return values == dims_ && !person.empty() && person.size() <= kMaxPersonIdBytes;
    }

    mutable std::mutex mutex_;
    mutable PgDb db_;
    Metric metric_;
    std::size_t dims_;
    std::string sql_;
    std::string sample_sql_;
};

Result<std::vector<FoundFace>> PgFaceSearch::nearest(std::span<const float> query,
                                                     std::size_t k) const {
    SPHERE_TRY(check_index_vectors("queries", query, 1, dims_));
    k = std::min(k, kMostFound);
    ExactDistance distance(metric_, query);
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(db_.connect());
    auto transaction = begin_pgvector_search(db_, k);
    if (!transaction)
        return transaction.error();
    std::vector<FoundFace> faces;
    const auto done = db_.query(
        sql_.c_str(), {pgvector_text(metric_, query), static_cast<std::int64_t>(k)},
        [&](const PgRow &row) -> Result<void> {
            const auto values = from_little_endian(row.bytes(3));
            FoundFace face{row.integer(0), row.text(1), row.text(2)};
            if (!is_sound(values.size(), face.person_id) || face.label.size() > kMaxTextBytes)
                return damaged(face.face_id);
            double squares = 0;
            for (const float value : values)
                squares += static_cast<double>(value) * value;
            face.distance = distance.to(values);
            face.norm = static_cast<float>(std::min(std::sqrt(squares), 3e38));
            faces.push_back(std::move(face));
            return {};
        });
    if (!done)
        return done.error();
    SPHERE_TRY(transaction->commit());
    std::sort(faces.begin(), faces.end(), [](const FoundFace &a, const FoundFace &b) {
        return nearer({a.face_id, a.distance}, {b.face_id, b.distance});
    });
    return faces;
}

Result<FaceSample> PgFaceSearch::sample(std::size_t count) const {
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(db_.connect());
    auto transaction =
        PgTransaction::begin(db_, "BEGIN READ ONLY; SET LOCAL statement_timeout = '5s'");
    if (!transaction)
        return transaction.error();
    FaceSample sample;
    // As ANALYZE saw it: counting a hundred million takes minutes.
    const auto about = db_.integer("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE "
                                   "oid = 'sphere_embeddings'::regclass");
    if (!about)
        return about.error();
    const auto done =
        db_.query(sample_sql_.c_str(), {static_cast<std::int64_t>(std::min(count, kMostFound))},
                  [&](const PgRow &row) -> Result<void> {
                      SampledFace face{row.integer(0), row.text(1), row.integer(2),
                                       from_little_endian(row.bytes(3))};
                      if (!is_sound(face.embedding.size(), face.person_id))
                          return damaged(face.face_id);
                      sample.faces.push_back(std::move(face));
                      return {};
                  });
    if (!done)
        return done.error();
    SPHERE_TRY(transaction->commit());
    sample.of_faces = std::max(*about, static_cast<std::int64_t>(sample.faces.size()));
    return sample;
}

} // namespace

const PgVectorType &pgvector_type(Metric metric) {
    return metric == Metric::Euclidean ? kEuclidean : kCosine;
}

std::string pgvector_text(Metric metric, std::span<const float> values) {
    std::vector<float> row(values.size());
    make_index_row(metric, values, row.data());
    std::string text = "[";
    char buffer[64];
    for (const float value : row) {
        // A halfvec has 11 bits of a value, 6 digits are more; a vector has all.
        const auto end = metric == Metric::Cosine
                             ? std::to_chars(buffer, buffer + sizeof buffer, value,
                                             std::chars_format::general, 6)
                             : std::to_chars(buffer, buffer + sizeof buffer, value);
        text.append(text.size() > 1 ? "," : "").append(buffer, end.ptr);
    }
    return text + "]";
}

Result<void> require_pgvector(PgDb &db) {
    std::string version;
    const auto found = db.query("SELECT extversion FROM pg_extension WHERE extname = 'vector'",
                                {}, [&version](const PgRow &row) -> Result<void> {
                                    version = row.text(0);
                                    return {};
                                });
    if (!found)
        return found.error();
    int major = 0;
    int minor = 0;
    const char *end = version.data() + version.size();
    const auto parsed = std::from_chars(version.data(), end, major);
    if (parsed.ptr != end && *parsed.ptr == '.')
        std::from_chars(parsed.ptr + 1, end, minor);
    if (major > 0 || minor >= 8)
        return {};
    if (!version.empty())
        return fail(Errc::Unsupported, "gallery ", db.name(), ": its pgvector is version ",
                    version,
                    ", index pgvector needs 0.8 or newer: install it on the server, "
                    "then run there: ALTER EXTENSION vector UPDATE");
    const auto available =
        db.integer("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'");
    if (!available)
        return available.error();
    return fail(Errc::Unsupported, "gallery ", db.name(),
                ": index pgvector needs the extension pgvector, which this database does not "
                "have: ",
                *available > 0 ? ""
                               : "install it on the server (Debian 13: "
                                 "postgresql-17-pgvector), then ",
                "run there, as a superuser: CREATE EXTENSION vector; or choose index=auto, "
                "which searches in this machine's memory");
}

Result<PgTransaction> begin_pgvector_search(PgDb &db, std::size_t k) {
    const std::size_t width = std::clamp(2 * k, kWidth, kMostWidth);
    // Rows that a condition leaves out are made up for by more of the index (pgvector 0.8).
    // Beyond what the index looks at, the rows themselves are looked at.
    return PgTransaction::begin(
        db, ("BEGIN READ ONLY; SET LOCAL hnsw.ef_search = " + std::to_string(width) +
             "; SET LOCAL hnsw.iterative_scan = relaxed_order" +
             "; SET LOCAL statement_timeout = '5s'" +
             (k > kMostWidth ? "; SET LOCAL enable_indexscan = off" : ""))
                .c_str());
}

std::string pgvector_hnsw(const PgVectorType &type, const std::string &expression) {
    return "USING hnsw ((" + expression + ") " + type.ops +
           ") WITH (m = " + std::to_string(kNeighbours) +
           ", ef_construction = " + std::to_string(kBuildWidth) + ")";
}

ExactDistance::ExactDistance(Metric metric, std::span<const float> query) : metric_(metric) {
    const std::size_t padded =
        (query.size() + kDistanceLanes - 1) / kDistanceLanes * kDistanceLanes;
    query_.resize(padded);
    row_.resize(padded);
    make_index_row(metric, query, query_.data());
}

float ExactDistance::to(std::span<const float> values) {
    make_index_row(metric_, values, row_.data());
    return index_row_distance(metric_, query_.data(), row_.data(), query_.size());
}

PgNearColumns pgvector_columns(const PgDb &db, const std::vector<float> &embedding,
                               PgValues &values) {
    PgNearColumns columns;
    for (const Metric metric : {Metric::Cosine, Metric::Euclidean}) {
        const PgVectorType &type = pgvector_type(metric);
        if (!db.near_columns().contains(type.column) ||
            embedding.size() > static_cast<std::size_t>(kPgVectorMostValues))
            continue;
        values.emplace_back(pgvector_text(metric, embedding));
        columns.names += ", " + std::string(type.column);
        columns.expressions +=
            ", $" + std::to_string(values.size()) + "::text::" + std::string(type.type);
    }
    return columns;
}

Result<std::int64_t> prepare_pgvector(PgGallery &gallery, Metric metric,
                                      const std::function<void(std::int64_t)> &progress) {
    const PgVectorType &type = pgvector_type(metric);
    const std::string column = type.column;
    // Under the lock of the version: whoever writes next sees the column.
    const auto stamp = gallery.write([&](PgDb &db) -> Result<PgStamp> {
        SPHERE_TRY(require_pgvector(db));
        const auto active = pg_active_stamp(db);
        if (!active)
            return active.error();
        if (!*active)
            return fail(Errc::NotFound, "gallery ", db.name(),
                        ": nobody is enrolled, so there is nothing to search: enrol first");
        if ((*active)->stamp.dims > type.most_dims)
            return fail(Errc::Unsupported, "gallery ", db.name(), ": its embeddings have ",
                        (*active)->stamp.dims, " values; pgvector's HNSW index takes up to ",
                        type.most_dims, " for metric ", metric_name(metric),
                        ": choose index=auto");
        SPHERE_TRY(db.script("ALTER TABLE sphere_embeddings ADD COLUMN IF NOT EXISTS " +
                             column + " " + type.type +
                             "; UPDATE sphere_gallery SET format = 2 WHERE id = 1"));
        SPHERE_TRY(pg_audit(db, "index", 0, std::string("pgvector, ") + metric_name(metric)));
        return **active;
    });
    if (!stamp)
        return stamp.error();
    auto filled = fill_column(gallery, type, metric, *stamp, progress);
    if (!filled)
        return filled;
    const std::string index = index_name(type, stamp->key);
    return gallery.change([&](PgDb &db) -> Result<std::int64_t> {
        std::vector<std::string> others;
        auto found =
            db.query("SELECT i.relname FROM pg_class t JOIN pg_index x ON x.indrelid = t.oid "
                     "JOIN pg_class i ON i.oid = x.indexrelid WHERE t.oid = "
                     "'sphere_embeddings'::regclass AND starts_with(i.relname, $1) AND "
                     "(i.relname <> $2 OR NOT x.indisvalid)",
                     {index_name(type, 0).substr(0, index_name(type, 0).size() - 1), index},
                     [&others](const PgRow &row) -> Result<void> {
                         others.push_back(row.text(0));
                         return {};
                     });
        if (!found)
            return found;
        for (const std::string &other : others) // of a model of before
            SPHERE_TRY(db.script("DROP INDEX \"" + other + "\""));
        SPHERE_TRY(db.script("CREATE INDEX IF NOT EXISTS " + index + " ON sphere_embeddings " +
                             pgvector_hnsw(type, typed(column, type, stamp->stamp.dims)) +
                             " WHERE stamp = " + std::to_string(stamp->key) +
                             "; ANALYZE sphere_embeddings"));
        return db.integer("SELECT count(*) FROM sphere_embeddings WHERE stamp = $1",
                          {stamp->key});
    });
}

Result<std::shared_ptr<const FaceSearch>>
open_pgvector_search(const std::string &location, PgGallery &gallery, Metric metric) {
    using Search = std::shared_ptr<const FaceSearch>;
    return gallery.read([&](PgDb &db) -> Result<Search> {
        SPHERE_TRY(require_pgvector(db));
        const auto stamp = pg_active_stamp(db);
        if (!stamp)
            return stamp.error();
        if (!*stamp)
            return Search();
        const PgVectorType &type = pgvector_type(metric);
        const auto there =
            db.integer("SELECT count(*) FROM pg_index x JOIN pg_class i ON i.oid = "
                       "x.indexrelid WHERE x.indrelid = to_regclass('sphere_embeddings') AND "
                       "i.relname = $1 AND x.indisvalid",
                       {index_name(type, (*stamp)->key)});
        if (!there)
            return there.error();
        if (*there == 0)
            return fail(Errc::NotFound, "gallery ", db.name(),
                        " has no pgvector index for its model and metric ", metric_name(metric),
                        ": make it with: spherectl gallery index --gallery ", db.name(),
                        " --metric ", metric_name(metric));
        return Search(std::make_shared<PgFaceSearch>(location, **stamp, metric));
    });
}

} // namespace sphere
