// SPDX-License-Identifier: MIT
// A gallery as a folder of plain files, to move it or to keep it: JSON lines, numpy matrices,
// and a manifest with their checksums. docs/gallery.md describes the format.
#pragma once

#include "core/gallery/people_admin.h"
#include "core/gallery/store.h"

#include <functional>
#include <string>
#include <string_view>

namespace sphere {

struct PortableCounts {
    std::int64_t people = 0;
    std::int64_t faces = 0;
    std::int64_t negatives = 0;
};

/// Called with the faces done of all.
using PortableProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// Writes people, faces (those in quarantine too) and negatives into the folder, which is made
/// with mode 0700, the files 0600; strangers are left out. Errors: InvalidArgument (the folder
/// is there and not empty), Busy (the gallery changed meanwhile), Permission, NoSpace, Io.
Result<PortableCounts> export_gallery(Store &store, PeopleAdmin &admin,
                                      const std::string &folder, bool thumbnails,
                                      const PortableProgress &progress);

struct ImportOptions {
    bool merge = false;   ///< add faces to people who are there; without, that is refused
    bool dry_run = false; ///< read and check all, change nothing
};

/// Reads such a folder into a gallery, which is only opened (by `open_admin`, and made by
/// `open`) once all files are there, whole, of the right sizes and checksums. Errors: NotFound,
/// Corrupt (names file and line), Mismatch (another stamp), InvalidArgument (people who are
/// there already), Unsupported (a newer format), and those of enrol and apply. Faces go in
/// many at a time: what an interruption left is told by the error.
struct ImportTarget {
    std::function<Result<std::unique_ptr<Store>>()> open;
    std::function<Result<std::unique_ptr<PeopleAdmin>>()> open_admin;
};
Result<PortableCounts> import_gallery(const std::string &folder, const ImportTarget &target,
                                      const ImportOptions &options,
                                      const PortableProgress &progress);

// The readers of single lines, which may come from anywhere.

struct PortableFile {
    std::string name;
    std::int64_t bytes = 0;
    std::string sha256;
};
struct PortableManifest {
    EmbeddingStamp stamp;
    PortableCounts counts;
    std::vector<PortableFile> files;
};
struct PortableFace {
    Enrolment face; ///< without embedding
    bool quarantined = false;
};
struct PortableNegative {
    std::string person_id;
    std::string source;
};
Result<PortableManifest> parse_portable_manifest(std::string_view text);
Result<Person> parse_portable_person(std::string_view line);
Result<PortableFace> parse_portable_face(std::string_view line);
Result<PortableNegative> parse_portable_negative(std::string_view line);

} // namespace sphere
