// SPDX-License-Identifier: MIT
// Looking after the people of a gallery: all that is changed besides enrolling and removing.
#pragma once

#include "core/gallery/store.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sphere {

// Changes. What is named and not there is NotFound, what cannot be is InvalidArgument.

/// Sets what is given, leaves the rest.
struct SetPerson {
    std::string id;
    std::optional<std::string> label;
    std::optional<float> threshold;
    std::optional<std::string> attributes; ///< a JSON object, replaced whole
    bool common_threshold = false;         ///< takes the person's own threshold away
};
/// A person of the new id must not be there: faces are joined by MoveFaces.
struct RenamePerson {
    std::string from;
    std::string to; ///< the label follows where it was the id
};
struct RemovePerson {
    std::string id; ///< a stranger's too
};
struct RemoveFaces {
    std::vector<std::int64_t> face_ids; ///< people without a face stay
};
struct MoveFaces {
    std::vector<std::int64_t> face_ids;
    std::string to; ///< made if not there
};
/// Faces in quarantine are kept and not looked for.
struct QuarantineFaces {
    std::vector<std::int64_t> face_ids;
    bool on = true;
};
struct AddNegative {
    EmbeddingStamp stamp;  ///< must be the gallery's
    std::string person_id; ///< whom the face is not; empty: a face to ignore
    std::string source;
    std::vector<float> embedding;
};
struct RemoveNegative {
    std::int64_t negative_id = 0;
};
/// Embeddings of another stamp take the place of all that are there, strangers' included.
/// Faces that are not named lose theirs and are found no more; negatives go, they have no
/// pictures.
struct Reembed {
    EmbeddingStamp stamp;
    std::vector<std::pair<std::int64_t, std::vector<float>>> faces;
};
/// Somebody unknown was seen. `stranger_id` empty: a new one, who gets the next "unknown-N".
/// The same visit within `same_visit_ms` of the last sight by the same camera. Cameras do this
/// all the time, and it changes nobody who is looked for: where it can be had (SQLite) the
/// gallery's version stays.
struct RecordSight {
    std::string stranger_id;
    std::string camera;
    std::int64_t at_ms = 0; ///< Unix time
    std::int64_t same_visit_ms = 60'000;
    std::optional<EmbeddingStamp> stamp; ///< with `face`
    std::optional<Enrolment> face;       ///< kept, its person_id unused; needed for a new one
};
/// A stranger becomes a person, with all faces; visits are kept.
struct PromoteStranger {
    std::string stranger_id;
    std::string to; ///< a new person's id
};
/// Strangers last seen before `before_ms` are removed, and the longest unseen of more than
/// `most`.
struct ExpireStrangers {
    std::int64_t before_ms = 0;
    int most = 1'000'000;
};

using GalleryChange = std::variant<SetPerson, RenamePerson, RemovePerson, RemoveFaces,
                                   MoveFaces, QuarantineFaces, AddNegative, RemoveNegative,
                                   Reembed, RecordSight, PromoteStranger, ExpireStrangers>;

struct FaceRecord {
    std::int64_t face_id = 0;
    std::string person_id;
    std::string source;
    std::int64_t added_at_ms = 0; ///< Unix time
    std::optional<Quality> quality;
    bool quarantined = false;
    bool embedded = false; ///< under the stamp in use
    bool has_thumbnail = false;
    std::string thumbnail_template; ///< where it is another than the stamp's in use
};

struct NegativeRecord {
    std::int64_t negative_id = 0;
    std::string person_id; ///< empty: a face to ignore
    std::string source;
    std::int64_t added_at_ms = 0;
};

struct Stranger {
    std::string id; ///< "unknown-12"
    int faces = 0;
    int visits = 0;
    std::int64_t first_seen_ms = 0;
    std::int64_t last_seen_ms = 0;
};

/// Which faces: those that are looked for, those of people in quarantine, those of strangers
/// (whose ids are "unknown-N").
enum class FaceKind : std::uint8_t { Known, Quarantined, Strangers };

/// Who did what, when. Holds numbers of people, never their names or embeddings, so that
/// nothing of a removed person stays in it.
struct AuditEntry {
    std::int64_t at_ms = 0; ///< Unix time
    std::string user;       ///< of the operating system
    std::string action;     ///< "enrol", "remove" …
    std::string subject;    ///< a person's id as long as they are there, then "person 17"
    std::string detail;
};

struct GalleryNotes {
    std::vector<NegativeRecord> negatives;
    std::vector<Stranger> strangers; ///< by number
    std::vector<AuditEntry> audit;   ///< newest first
};

/// Thread-safe. A call that fails leaves the gallery as it was.
class PeopleAdmin {
  public:
    virtual ~PeopleAdmin() = default;

    /// All of `changes` in one transaction, in order, or none. When it returns they are on
    /// disk, and what was removed is overwritten. Returns a number for each: the new id of a
    /// negative or a stranger (N of unknown-N), else how many people or faces were touched.
    virtual Result<std::vector<std::int64_t>>
    apply(const std::vector<GalleryChange> &changes) = 0;

    /// What apply() would return, by whatever reason it would fail; nothing is changed.
    virtual Result<std::vector<std::int64_t>>
    rehearse(const std::vector<GalleryChange> &changes) = 0;

    /// The faces of a person or a stranger, or of all people where `person_id` is empty.
    virtual Result<std::vector<FaceRecord>> list_faces(const std::string &person_id) = 0;

    /// The JPEG kept of a face; empty where none was. Errors: NotFound (no such face).
    virtual Result<std::vector<std::uint8_t>> thumbnail(std::int64_t face_id) = 0;

    virtual Result<GalleryNotes> notes(int newest_audit_entries) = 0;

    /// As Store::load, of one kind of faces. Thresholds and negatives come with Known alone.
    virtual Result<GallerySnapshot> load(FaceKind kind) = 0;
};

/// As open_store(), for a gallery that is there.
Result<std::unique_ptr<PeopleAdmin>> open_people_admin(const std::string &location);

} // namespace sphere
