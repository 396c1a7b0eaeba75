// SPDX-License-Identifier: MIT
// spherectl gallery: export and import.
#include "core/cli/gallery_actions.h"
#include "core/cli/output.h"
#include "core/gallery/portable.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <memory>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

/// A progress bar of a total that is known only when the work is under way.
PortableProgress make_progress(const char *what) {
    auto bar = std::make_shared<std::unique_ptr<Progress>>();
    return [bar, what](std::int64_t done, std::int64_t all) {
        if (!*bar)
            *bar = std::make_unique<Progress>(what, static_cast<std::size_t>(all));
        (*bar)->update(static_cast<std::size_t>(done));
    };
}

Result<int> say(const GalleryContext &context, const char *action, const std::string &folder,
                const PortableCounts &counts, double seconds) {
    if (context.json()) {
        print_line(Json{{"gallery", context.shown()},
                        {"folder", folder},
                        {"people", counts.people},
                        {"faces", counts.faces},
                        {"negatives", counts.negatives},
                        {"seconds", seconds},
                        {"dry_run", context.dry_run}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
        return kExitDone;
    }
    print_line((context.dry_run ? std::string("would have ") : std::string()) + action + " " +
               std::to_string(counts.faces) + " faces of " + std::to_string(counts.people) +
               " people and " + std::to_string(counts.negatives) + " negatives in " +
               fixed(seconds, 1) + " s");
    return kExitDone;
}

class Watch {
  public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Result<int> run_export(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kExportAction, 1, 1));
    if (context.dry_run)
        return fail(Errc::InvalidArgument,
                    "gallery export changes nothing in the gallery: --dry-run has no meaning");
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    const Watch watch;
    auto counts =
        export_gallery(*gallery->store, *gallery->admin, context.words[0],
                       !context.arguments().has("no-thumbnails"), make_progress("export"));
    if (!counts)
        return std::move(counts).error();
    return say(context, "exported", context.words[0], *counts, watch.seconds());
}

Result<int> run_import(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kImportAction, 1, 1));
    ImportTarget target;
    target.open = [&] { return open_store(context.location, OpenMode::CreateIfMissing); };
    target.open_admin = [&] { return open_people_admin(context.location); };
    const Watch watch;
    auto counts = import_gallery(context.words[0], target,
                                 {context.arguments().has("merge"), context.dry_run},
                                 make_progress("import"));
    if (!counts)
        return std::move(counts).error();
    return say(context, "imported", context.words[0], *counts, watch.seconds());
}

} // namespace

const GalleryAction kExportAction = {"export", "FOLDER [--no-thumbnails]", &run_export};
const GalleryAction kImportAction = {"import", "FOLDER [--merge]", &run_import};

} // namespace sphere::cli
