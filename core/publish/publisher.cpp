// SPDX-License-Identifier: MIT
// The table of publisher backends.
#include "core/publish/publisher.h"

#include "core/publish/jsonl_publisher.h"

#include <string_view>

namespace sphere {
namespace {

struct PublisherBackend {
    std::string_view prefix;
    const char *name;
    Result<std::unique_ptr<Publisher>> (*make)(
        const PublishOptions &options); ///< null: not built
};
constexpr PublisherBackend kPublisherBackends[] = {
    {"mqtt://", "mqtt", nullptr},         {"mqtts://", "mqtt", nullptr},
    {"kafka://", "kafka", nullptr},       {"https://", "webhook", nullptr},
    {"http://", "webhook", nullptr},      {"unix:", "socket", nullptr},
    {"", "jsonl", &make_jsonl_publisher},
};

} // namespace

Result<std::unique_ptr<Publisher>> make_publisher(const PublishOptions &options) {
    const std::string_view location = options.location;
    for (const PublisherBackend &backend : kPublisherBackends) {
        if (!location.starts_with(backend.prefix))
            continue;
        if (backend.make)
            return backend.make(options);
        return fail(
            Errc::Unsupported, "publish to ", options.location, ": built without ",
            backend.name,
            ". Use a file or \"-\" (stdout), and a client of that protocol that reads lines");
    }
    return fail(Errc::Internal, "no publisher for ", options.location);
}

} // namespace sphere
