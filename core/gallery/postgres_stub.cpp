// SPDX-License-Identifier: MIT
// Galleries on PostgreSQL in a build without libpq.
#include "core/gallery/postgres_store.h"

#include "core/gallery/pgvector_index.h"

namespace sphere {
namespace {

Error absent() {
    return fail(Errc::Unsupported,
                "galleries in PostgreSQL are not in this build (built without postgres: enable "
                "with -Dpostgres=enabled): use sqlite:PATH");
}

} // namespace

Result<std::unique_ptr<Store>> open_postgres_store(const std::string &, OpenMode) {
    return absent();
}

Result<std::unique_ptr<PeopleAdmin>> open_postgres_admin(const std::string &) {
    return absent();
}

Result<std::unique_ptr<Index>> make_pgvector_index(const std::string &, int, Metric) {
    return fail(Errc::Unsupported,
                "index pgvector is not in this build (built without postgres: enable with "
                "-Dpostgres=enabled): use index=exact");
}

} // namespace sphere
