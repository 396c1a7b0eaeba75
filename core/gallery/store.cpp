// SPDX-License-Identifier: MIT
// The table of gallery backends.
#include "core/gallery/store.h"

#include "core/gallery/people_admin.h"
#include "core/gallery/postgres_store.h"
#include "core/gallery/sqlite_admin.h"
#include "core/gallery/sqlite_store.h"

#include <string_view>

namespace sphere {
namespace {

struct StoreBackend {
    std::string_view prefix;
    bool strip; ///< the factory gets what follows the prefix
    Result<std::unique_ptr<Store>> (*open)(const std::string &location, OpenMode mode);
    Result<std::unique_ptr<PeopleAdmin>> (*open_admin)(const std::string &location);
};
constexpr StoreBackend kStoreBackends[] = {
    {"sqlite:", true, &open_sqlite_store, &open_sqlite_admin},
    {"postgresql://", false, &open_postgres_store, &open_postgres_admin},
    {"postgres://", false, &open_postgres_store, &open_postgres_admin},
    {"", false, &open_sqlite_store, &open_sqlite_admin}, // a bare path
};

struct Place {
    const StoreBackend *backend = nullptr;
    std::string rest; ///< what the backend gets
};

Result<Place> find_place(const std::string &location) {
    for (const StoreBackend &backend : kStoreBackends) {
        if (!std::string_view(location).starts_with(backend.prefix))
            continue;
        std::string rest = backend.strip ? location.substr(backend.prefix.size()) : location;
        if (rest.empty() || rest.find('\0') != std::string::npos)
            return fail(
                Errc::InvalidArgument,
                "no gallery is named: give a path, and make the gallery with: spherectl "
                "enrol --gallery PATH --id NAME IMAGE...");
        return Place{&backend, std::move(rest)};
    }
    return fail(Errc::Internal, "no backend for gallery ", location);
}

Error cannot_search() {
    return fail(Errc::Unsupported,
                "index pgvector searches on a PostgreSQL server, and this gallery is a file: "
                "choose index=auto, or keep the gallery at postgresql://HOST/DATABASE");
}

} // namespace

Result<GallerySnapshot> Store::load_outline() {
    return cannot_search();
}

Result<std::int64_t> Store::prepare_search(Metric, const std::function<void(std::int64_t)> &) {
    return cannot_search();
}

Result<std::shared_ptr<const FaceSearch>> Store::face_search(Metric) {
    return cannot_search();
}

Result<std::unique_ptr<Store>> open_store(const std::string &location, OpenMode mode) {
    auto place = find_place(location);
    if (!place)
        return std::move(place).error();
    return place->backend->open(place->rest, mode);
}

Result<std::unique_ptr<PeopleAdmin>> open_people_admin(const std::string &location) {
    auto place = find_place(location);
    if (!place)
        return std::move(place).error();
    return place->backend->open_admin(place->rest);
}

} // namespace sphere
