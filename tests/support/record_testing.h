// SPDX-License-Identifier: MIT
// A record with all that a known face can have.
#pragma once

#include "core/publish/record.h"

#include <memory>

namespace sphere::testing_support {

inline FrameRecord full_record() {
    FrameRecord record;
    record.stream = "cam1";
    record.pts_ns = 18446744073709551614ULL;
    record.stream_time_ns = 40000000;
    record.time_utc = "2024-05-01T12:00:00.040Z";
    record.width = 1920;
    record.height = 1080;
    Face face;
    face.box = {10.5F, -3, 100.1F, 120};
    face.score = 0.9F;
    face.landmarks = Landmarks5{{{1, 2}, {3.25F, 4}, {5, 6}, {7, 8}, {9, 10}}};
    face.track_id = 42;
    face.quality = Quality{0.8F, 0.7F, 0.6F, -5, 2.5F, 0.1F, 41};
    face.embedding = Embedding{
        std::make_shared<EmbeddingStamp>(EmbeddingStamp{"m", "s", "p", "t", "none", 3}),
        {0.1F, -2, 1e-20F}};
    MatchResult match;
    match.state = FaceState::Known;
    match.candidates = {{"ana", "Ana B.", 0.05F, 0.95F}, {"bo", "Bo", 0.25F, 0.75F}};
    match.metric = "cosine";
    match.threshold = 0.3F;
    match.margin = 0.2F;
    face.match = match;
    record.faces = {face};
    return record;
}

} // namespace sphere::testing_support
