// SPDX-License-Identifier: MIT
// In every build: one without libpq gets such locations too, and tells of them.
#include "core/gallery/postgres_store.h"

#include <algorithm>
#include <cstring>

namespace sphere {

std::string shown_location(const std::string &location) {
    std::string shown = location;
    const std::size_t scheme = shown.find("://");
    if (scheme == std::string::npos)
        return shown; // a path
    const std::size_t end = shown.find_first_of("/?", scheme + 3);
    const std::size_t at = shown.rfind('@', end);
    const std::size_t colon = shown.find(':', scheme + 3);
    if (at != std::string::npos && colon != std::string::npos && colon < at && at > scheme)
        shown.replace(colon, at - colon, ":***");
    for (std::size_t place = shown.find("password="); place != std::string::npos;
         place = shown.find("password=", place + 1)) {
        const std::size_t value = place + std::strlen("password=");
        shown.replace(value, std::min(shown.find('&', value), shown.size()) - value, "***");
    }
    return shown;
}

} // namespace sphere
