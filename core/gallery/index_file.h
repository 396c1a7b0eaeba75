// SPDX-License-Identifier: MIT
// A searched gallery kept beside the gallery file, so that the next start need not make it
// again.
#pragma once

#include "core/gallery/index.h"
#include "core/gallery/store.h"

#include <optional>
#include <string>

namespace sphere {

/// What an index file holds: a gallery without its embeddings, and the index that has them, by
/// face ids.
struct IndexFile {
    GallerySnapshot snapshot; ///< faces by ascending id, embeddings empty
    std::string kind;         ///< as make_index has it
    Metric metric = Metric::Cosine;
    /// Of each face's embedding, in the order of snapshot.faces: its length and a hash.
    std::vector<float> norms;
    std::vector<std::uint64_t> prints;
    std::shared_ptr<const Index> index;
};

/// The gallery's file where `location` (see open_store) is one in the file system.
std::optional<std::string> gallery_file_of(const std::string &location);

/// GALLERY.index-KIND
std::string index_file_path(const std::string &gallery, const std::string &kind);

/// Writes beside and renames: whoever opens it sees the old file or the whole new one. Mode
/// 0600. Errors: Unsupported (an index that cannot be saved), Permission, NoSpace, Io.
Result<void> write_index_file(const std::string &gallery, const IndexFile &contents);

/// Errors: NotFound; Mismatch (another format or kind, or of another machine's byte order);
/// Corrupt (truncated, checksum, impossible contents); Internal (memory). Files may come from
/// anywhere: nothing is trusted but that a row's place is its own.
Result<IndexFile> read_index_file(const std::string &gallery, const std::string &kind,
                                  const IndexOptions &options);

/// Removes all index files of a gallery, and what a crash left of one: they hold the embeddings
/// of whoever was just removed. Warns in the log of one that cannot be removed.
void remove_index_files(const std::string &gallery) noexcept;

} // namespace sphere
