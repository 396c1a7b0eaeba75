// SPDX-License-Identifier: MIT
// Writing to a gallery's tables, within a transaction of SqliteGallery::write. Internal to the
// SQLite store.
#pragma once

#include "core/gallery/people_admin.h"
#include "core/gallery/sqlite_reads.h"
#include "core/gallery/sqlite_statements.h"

#include <map>

namespace sphere {

/// One row to the audit table. `person` 0: nobody in particular.
Result<void> write_audit(SqliteStatements &statements, const std::string &action,
                         std::int64_t person, const std::string &detail);

/// Many faces in one transaction: keeps people's numbers, so that a face costs two inserts.
class SqliteFaceWriter {
  public:
    SqliteFaceWriter(SqliteDb &db, SqliteStatements &statements, std::int64_t stamp_key)
        : db_(db), statements_(statements), stamp_key_(stamp_key) {}

    Result<std::int64_t> add(const Enrolment &enrolment);
    /// A face of a person or stranger whose number is known.
    Result<std::int64_t> add(const Enrolment &enrolment, std::int64_t person);
    /// Checks the size of the gallery and writes the audit row.
    Result<void> finish();

  private:
    Result<std::int64_t> person_number(const std::string &id);

    SqliteDb &db_;
    SqliteStatements &statements_;
    std::int64_t stamp_key_;
    std::map<std::string, std::int64_t> people_;
    std::int64_t faces_ = 0;
};

/// A new person (stranger 0) or stranger; the number is never used again.
Result<std::int64_t> add_gallery_person(SqliteDb &db, SqliteStatements &statements,
                                        const std::string &id, std::int64_t stranger);

/// NotFound, naming the id.
Result<std::int64_t> find_gallery_person(SqliteDb &db, SqliteStatements &statements,
                                         const std::string &id);

/// With all faces, negatives and visits.
Result<void> remove_gallery_person(SqliteDb &db, SqliteStatements &statements,
                                   const std::string &id);

/// With the last embedding the stamp goes too: an empty gallery takes any model.
Result<void> drop_unused_stamps(SqliteStatements &statements);

/// Applies one change; the number that PeopleAdmin::apply returns for it.
Result<std::int64_t> apply_gallery_change(SqliteDb &db, SqliteStatements &statements,
                                          const GalleryChange &change);

} // namespace sphere
