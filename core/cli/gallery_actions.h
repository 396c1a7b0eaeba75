// SPDX-License-Identifier: MIT
// The actions of spherectl gallery; cmd_gallery.cpp holds the table of them.
#pragma once

#include "core/cli/command.h"
#include "core/gallery/people_admin.h"
#include "core/gallery/postgres_store.h"
#include "core/gallery/store.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sphere::cli {

struct GalleryContext {
    const Context &context;
    std::string location;
    std::span<const std::string> words; ///< what follows the action
    bool dry_run = false;

    std::string shown() const { return shown_location(location); } ///< without a password
    bool json() const { return context.json; }
    const Arguments &arguments() const { return context.arguments; }
};

struct GalleryAction {
    std::string_view name;
    std::string_view usage; ///< what follows the name
    Result<int> (*run)(const GalleryContext &context);
};

/// Both sides of a gallery that is there.
struct OpenGallery {
    std::unique_ptr<Store> store;
    std::unique_ptr<PeopleAdmin> admin;
};
Result<OpenGallery> open_gallery(const std::string &location);

/// InvalidArgument with the usage unless there are from `least` to `most` words.
Result<void> check_words(const GalleryContext &context, const GalleryAction &action,
                         std::size_t least, std::size_t most);

/// Words that are numbers of faces or negatives, 1 or more.
Result<std::vector<std::int64_t>> read_numbers(std::span<const std::string> words,
                                               const char *what);

/// Applies `changes`, or only finds out whether that could be done; prints `said` a line each,
/// or
/// {"gallery", "action", "done": said, "dry_run"}.
Result<int> apply_and_say(const GalleryContext &context, PeopleAdmin &admin,
                          std::string_view action, const std::vector<GalleryChange> &changes,
                          const std::vector<std::string> &said);

/// Unix time in ms as "2026-11-24 12:34:56" UTC.
std::string time_text(std::int64_t unix_ms);

extern const GalleryAction kListAction;
extern const GalleryAction kShowAction;
extern const GalleryAction kStatsAction;
extern const GalleryAction kSetAction;
extern const GalleryAction kRemoveAction;
extern const GalleryAction kRenameAction;
extern const GalleryAction kPromoteAction;
extern const GalleryAction kExpireAction;
extern const GalleryAction kNegativeAction;
extern const GalleryAction kQuarantineAction;
extern const GalleryAction kExportAction;
extern const GalleryAction kImportAction;
extern const GalleryAction kCheckAction;
extern const GalleryAction kReembedAction;
extern const GalleryAction kIndexAction;

} // namespace sphere::cli
