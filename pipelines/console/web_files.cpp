// SPDX-License-Identifier: MIT
#include "pipelines/console/web_files.h"

#include <gio/gio.h>

#include <string>
#include <string_view>
#include <utility>

extern "C" {
#include "console_resources.h" // made by glib-compile-resources
}

namespace sphere::console {
namespace {

constexpr const char *kFolder = "/io/sphere/console/";

const char *type_of(std::string_view name) {
    if (name.ends_with(".html"))
        return "text/html; charset=utf-8";
    if (name.ends_with(".css"))
        return "text/css; charset=utf-8";
    if (name.ends_with(".js"))
        return "text/javascript; charset=utf-8";
    if (name.ends_with(".svg"))
        return "image/svg+xml";
    return "application/octet-stream";
}

} // namespace

std::vector<Route> web_routes() {
    std::vector<Route> routes;
    GResource *resource = sphere_console_get_resource();
    char **names =
        g_resource_enumerate_children(resource, kFolder, G_RESOURCE_LOOKUP_FLAGS_NONE, nullptr);
    for (char **name = names; name != nullptr && *name != nullptr; ++name) {
        GBytes *bytes = g_resource_lookup_data(resource, (std::string(kFolder) + *name).c_str(),
                                               G_RESOURCE_LOOKUP_FLAGS_NONE, nullptr);
        if (bytes == nullptr)
            continue;
        Response response;
        response.type = type_of(*name);
        gsize size = 0;
        const auto *data = static_cast<const char *>(g_bytes_get_data(bytes, &size));
        response.body.assign(data, size);
        g_bytes_unref(bytes);
        // The next version's files are taken when it runs.
        response.headers.emplace_back("Cache-Control", "no-cache");
        const std::string path =
            std::string_view(*name) == "index.html" ? "/" : "/" + std::string(*name);
        routes.push_back(
            {"GET", path, false, true, [response](const Request &) { return response; }});
    }
    g_strfreev(names);
    return routes;
}

} // namespace sphere::console
