// SPDX-License-Identifier: MIT
// The table of gallery backends.
#include "core/gallery/store.h"

#include "core/gallery/sqlite_store.h"

#include <string_view>

namespace sphere {
namespace {

Result<std::unique_ptr<Store>> no_postgres(const std::string &, OpenMode) {
    return fail(Errc::Unsupported,
                "galleries in PostgreSQL are not in this build (built without postgres): use "
                "sqlite:PATH");
}

struct StoreBackend {
    std::string_view prefix;
    bool strip; ///< the factory gets what follows the prefix
    Result<std::unique_ptr<Store>> (*open)(const std::string &location, OpenMode mode);
};
constexpr StoreBackend kStoreBackends[] = {
    {"sqlite:", true, &open_sqlite_store},
    {"postgresql://", false, &no_postgres},
    {"postgres://", false, &no_postgres},
    {"", false, &open_sqlite_store}, // a bare path
};

} // namespace

Result<std::unique_ptr<Store>> open_store(const std::string &location, OpenMode mode) {
    for (const StoreBackend &backend : kStoreBackends) {
        if (!std::string_view(location).starts_with(backend.prefix))
            continue;
        const std::string rest =
            backend.strip ? location.substr(backend.prefix.size()) : location;
        if (rest.empty() || rest.find('\0') != std::string::npos)
            return fail(
                Errc::InvalidArgument,
                "no gallery is named: give a path, and make the gallery with: spherectl "
                "enrol --gallery PATH --id NAME IMAGE...");
        return backend.open(rest, mode);
    }
    return fail(Errc::Internal, "no backend for gallery ", location);
}

} // namespace sphere
