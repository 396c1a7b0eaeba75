// SPDX-License-Identifier: MIT
// What a search by the extension pgvector (0.8 or newer) needs: types, operators, indexes.
// Internal to the PostgreSQL store.
#pragma once

#include "core/gallery/distance.h"
#include "core/gallery/exact_rows.h"
#include "core/gallery/face_search.h"
#include "core/gallery/index.h"
#include "core/gallery/postgres_gallery.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sphere {

/// How the server keeps and compares vectors for a metric. For cosine vectors of unit length in
/// two bytes a value, by their inner product; for euclidean raw ones in four.
struct PgVectorType {
    const char *column;   ///< of sphere_embeddings
    const char *type;     ///< halfvec or vector
    const char *ops;      ///< operator class of the index
    const char *nearness; ///< operator: smaller is nearer
    int most_dims;        ///< of an HNSW index (pgvector's README)
};
const PgVectorType &pgvector_type(Metric metric);
inline constexpr int kPgVectorMostValues = 16'000; ///< of a vector or halfvec without an index

/// As the server's types read it.
std::string pgvector_text(Metric metric, std::span<const float> values);

/// Unsupported, with the remedy, where the database has no pgvector or one older than 0.8.
Result<void> require_pgvector(PgDb &db);

/// A transaction that reads and in which an HNSW index is asked for `k` rows.
Result<PgTransaction> begin_pgvector_search(PgDb &db, std::size_t k);

/// HNSW's parameters, in SQL.
std::string pgvector_hnsw(const PgVectorType &type, const std::string &expression);

/// The exact distance from one query, the same bits as the indexes in memory give.
class ExactDistance {
  public:
    ExactDistance(Metric metric, std::span<const float> query);
    /// `values`: as many as the query has.
    float to(std::span<const float> values);

  private:
    Metric metric_;
    AlignedVector<float> query_;
    AlignedVector<float> row_;
};

/// Columns and expressions that an INSERT of an embedding has more; appends to `values`.
struct PgNearColumns {
    std::string names;
    std::string expressions;
};
PgNearColumns pgvector_columns(const PgDb &db, const std::vector<float> &embedding,
                               PgValues &values);

/// See Store::prepare_search() and Store::face_search().
Result<std::int64_t> prepare_pgvector(PgGallery &gallery, Metric metric,
                                      const std::function<void(std::int64_t)> &progress);
Result<std::shared_ptr<const FaceSearch>>
open_pgvector_search(const std::string &location, PgGallery &gallery, Metric metric);

} // namespace sphere
