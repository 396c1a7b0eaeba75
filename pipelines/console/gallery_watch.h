// SPDX-License-Identifier: MIT
// Notices changes of galleries, by whatever process.
#pragma once

#include "core/gallery/store.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace sphere::console {

/// One thread.
class GalleryWatch {
  public:
    /// Whether the gallery is another than at the last call for it; false at the first, and
    /// while it is away.
    bool changed(const std::string &location) {
        Watched &watched = galleries_[location];
        if (!watched.store) {
            auto store = open_store(location, OpenMode::Existing);
            if (!store)
                return false;
            watched.store = std::move(*store);
        }
        const auto version = watched.store->version();
        if (!version) {
            watched.store.reset();
            return false;
        }
        const bool differs = watched.version && *watched.version != *version;
        watched.version = *version;
        return differs;
    }

  private:
    struct Watched {
        std::unique_ptr<Store> store;
        std::optional<std::int64_t> version;
    };
    std::map<std::string, Watched> galleries_;
};

} // namespace sphere::console
