// SPDX-License-Identifier: MIT
// What the tests of the metadata share: owners of C objects, and reads in a line.
#pragma once

#include "tests/gst/element_support.h"

#include <array>

namespace sphere_test {

struct BufferUnref {
    void operator()(GstBuffer *buffer) const { gst_buffer_unref(buffer); }
};
using Buffer = std::unique_ptr<GstBuffer, BufferUnref>;
struct FaceFree {
    void operator()(GstSphereFace *face) const { gst_sphere_face_free(face); }
};
using FacePtr = std::unique_ptr<GstSphereFace, FaceFree>;

inline std::array<double, 4> box_of(const GstSphereFace *face) {
    std::array<double, 4> box{};
    gst_sphere_face_get_box(face, &box[0], &box[1], &box[2], &box[3]);
    return box;
}

inline const GstSphereFace *first_face(GstBuffer *buffer) {
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    return meta != nullptr ? gst_sphere_face_meta_peek_face(meta, 0) : nullptr;
}

inline std::vector<const GstVideoRegionOfInterestMeta *> rois_of(GstBuffer *buffer) {
    std::vector<const GstVideoRegionOfInterestMeta *> rois;
    gpointer state = nullptr;
    while (GstMeta *meta = gst_buffer_iterate_meta_filtered(
               buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))
        rois.push_back(reinterpret_cast<const GstVideoRegionOfInterestMeta *>(meta));
    return rois;
}

} // namespace sphere_test
