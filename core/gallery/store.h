// SPDX-License-Identifier: MIT
// Where enrolled people are kept.
#pragma once

#include "core/base/result.h"
#include "core/face/face.h"
#include "core/gallery/face_search.h"
#include "core/gallery/index.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sphere {

struct Person {
    std::string id;    ///< what the user enrolled it as; unique
    std::string label; ///< what is shown; equals id unless set
    int faces = 0;
    std::optional<float> threshold; ///< their own, in place of the model's or the user's
    std::string attributes = "{}";  ///< free-form, a JSON object
};

/// One face to enrol.
struct Enrolment {
    std::string person_id;
    std::string source; ///< where the picture came from, for the user
    std::optional<Quality> quality;
    std::vector<float> embedding;             ///< raw, stamp.dims values, all finite
    std::vector<std::uint8_t> thumbnail_jpeg; ///< empty = none kept
    std::int64_t added_at_ms = 0;             ///< Unix time; 0: now
    std::string thumbnail_template; ///< that the thumbnail was cut by; empty: the stamp's
};

struct EnrolledFace {
    std::int64_t face_id = 0;
    std::string person_id;
    std::string label;
    std::vector<float> embedding;
};

/// A face that must not be taken for somebody.
struct NegativeFace {
    std::int64_t negative_id = 0;
    std::string person_id; ///< whom it is not; empty: a face to ignore altogether
    std::vector<float> embedding;
};

/// Every embedding of one stamp, with the version that it shows.
struct GallerySnapshot {
    std::int64_t version = 0;
    std::optional<EmbeddingStamp> stamp;       ///< empty: nothing enrolled yet
    std::vector<EnrolledFace> faces;           ///< of people, without those in quarantine
    std::map<std::string, float> thresholds{}; ///< of people that have one of their own
    std::vector<NegativeFace> negatives{};
};

/// Tells of changes for as long as it is there.
class ChangeWatch {
  public:
    virtual ~ChangeWatch() = default;
    /// Whether changes are told of now. Not so while a server is away, or where something in
    /// between (a connection pooler) keeps its messages back: poll Store::version() then.
    virtual bool live() const = 0;
};

/// Thread-safe. A call that fails leaves the store as it was.
class Store {
  public:
    virtual ~Store() = default;

    /// Adds faces in one transaction; people are made as needed. The first enrolment stamps the
    /// gallery. When it returns, the rows are on disk. Errors: Mismatch (another stamp; says
    /// how to re-embed), InvalidArgument (wrong dims, a value not finite, an empty id), Busy,
    /// NoSpace, Io.
    virtual Result<std::vector<std::int64_t>> enrol(const EmbeddingStamp &stamp,
                                                    const std::vector<Enrolment> &faces) = 0;

    /// Removes a person with all faces, overwriting the bytes. Errors: NotFound, Busy, Io.
    virtual Result<void> remove_person(const std::string &person_id) = 0;

    virtual Result<std::vector<Person>> list_people() = 0;

    /// All embeddings. Errors: Corrupt, Busy, Io.
    virtual Result<GallerySnapshot> load() = 0;

    /// Changes with every committed change, by whatever process. Cheap: for polling.
    virtual Result<std::int64_t> version() = 0;

    // For index=pgvector, with which faces stay where they are. Unsupported where the store
    // cannot search.

    /// As load(), without the faces.
    virtual Result<GallerySnapshot> load_outline();
    /// Makes the index for `metric` and the gallery's stamp, or completes it; the number of
    /// faces in it. `progress` is told how many were made ready. Errors also: NotFound (nobody
    /// is enrolled), Permission (the user may not change tables).
    virtual Result<std::int64_t>
    prepare_search(Metric metric, const std::function<void(std::int64_t)> &progress);
    /// Over the faces of the stamp of now; null where there are none. NotFound where
    /// prepare_search() was not called for it.
    virtual Result<std::shared_ptr<const FaceSearch>> face_search(Metric metric);

    /// `changed` is called, by a thread of the watch's own, soon after a change was committed
    /// by whatever process, and when live() changes. Null where the store cannot tell.
    // NOLINTNEXTLINE(performance-unnecessary-value-param): who overrides it keeps it
    virtual std::unique_ptr<ChangeWatch> watch(std::function<void()> changed) {
        (void)changed;
        return nullptr;
    }
};

enum class OpenMode : std::uint8_t { Existing, CreateIfMissing };

/// Opens a gallery by location: "sqlite:PATH" or a bare path (relative to the working
/// directory), or "postgresql://…" (libpq's URI; Unsupported in a build without it). Errors:
/// NotFound (says how to enrol), Permission, Corrupt (not a gallery), Unsupported (made by a
/// newer version: names both), Io (a server that cannot be reached).
Result<std::unique_ptr<Store>> open_store(const std::string &location, OpenMode mode);

} // namespace sphere
