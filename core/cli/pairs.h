// SPDX-License-Identifier: MIT
// Lists of labelled pairs of pictures, and the distances of their faces.
#pragma once

#include "core/cli/accuracy.h"
#include "core/cli/face_session.h"
#include "core/cli/output.h"

#include <string>
#include <vector>

namespace sphere::cli {

struct LabelledPair {
    std::size_t a = 0; ///< index into PairList::pictures
    std::size_t b = 0;
    bool same = false;
    int fold = 0;
};

struct PairList {
    std::vector<std::string> pictures; ///< paths, each once
    std::vector<LabelledPair> pairs;
    int folds = 1;
};

/// Reads a list of pairs; pictures are in `folder`. Two formats, told apart by the first line:
/// - that of Labeled Faces in the Wild: a header "folds TAB n" (or "n": one fold), then for
/// each fold
///   n same pairs (name, i, j) and n different ones (name, i, name, j); pictures
///   folder/name/name_0001.jpg;
/// - CSV with a header that has file_x, file_y and decision (Yes or No); pictures
/// folder/file_x, or
///   folder/base name of file_x.
/// Errors: NotFound, Permission, Corrupt; each names the file and the line.
Result<PairList> read_pairs(const std::string &file, const std::string &folder);

struct MeasuredPairs {
    std::vector<ScoredPair> pairs; ///< parallel to PairList::pairs
    std::vector<Failure> failures; ///< pictures without an embedding
};

/// Embeds each picture once, the face nearest to the centre, and measures. Errors: NotFound
/// where not one picture can be read.
Result<MeasuredPairs> measure_pairs(const FaceSession &session, const PairList &list,
                                    Metric metric);

} // namespace sphere::cli
