// SPDX-License-Identifier: MIT
// The galleries of the cameras as the console's pages see and change them.
#pragma once

#include "pipelines/console/console_source.h"
#include "pipelines/console/event_history.h"
#include "pipelines/console/http.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace sphere::console {

/// Cameras may share a gallery or have one each. Pages name them "g1", "g2", …: where they are
/// is nobody's business, and may hold a password. Thread-safe; waits for galleries.
class GalleryApi {
  public:
    /// Both must outlive it.
    GalleryApi(ConsoleSource &source, EventHistory &history)
        : source_(source), history_(history) {}

    struct Gallery {
        std::string name;     ///< "g1"
        std::string location; ///< as open_store has it
        std::string shown;    ///< a file's name, or "PostgreSQL"
        std::vector<std::string> cameras;
    };
    std::vector<Gallery> galleries();
    std::string name_of(const std::string &location);

    std::vector<Route> routes();

  private:
    Response people(const Request &request, const Gallery &gallery);
    Response faces(const Request &request, const Gallery &gallery);
    Response strangers(const Request &request, const Gallery &gallery);
    Response picture(const Request &request, const Gallery &gallery);
    Response rename(const nlohmann::json &body, const Gallery &gallery);
    Response remove(const nlohmann::json &body, const Gallery &gallery);
    Response remove_face(const nlohmann::json &body, const Gallery &gallery);
    Response promote(const nlohmann::json &body, const Gallery &gallery);
    Response enrol(const Request &request);
    std::optional<Gallery> find(const std::string &name);

    ConsoleSource &source_;
    EventHistory &history_;
    std::mutex mutex_;
    std::vector<std::string> locations_; ///< the first is g1; guarded
};

/// What a failure is in HTTP.
Response error_response(const Error &error);

} // namespace sphere::console
