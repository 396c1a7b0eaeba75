// SPDX-License-Identifier: MIT
#include "gst/base/tracks_object.h"

#include <utility>

namespace {

struct TracksObject {
    GObject parent;
    std::shared_ptr<sphere::gst::TrackStore> *store;
};
struct TracksObjectClass {
    GObjectClass parent_class;
};

} // namespace

GType gst_sphere_tracks_get_type(void);
typedef TracksObject GstSphereTracks;
typedef TracksObjectClass GstSphereTracksClass;
G_DEFINE_TYPE(GstSphereTracks, gst_sphere_tracks, G_TYPE_OBJECT)

static void gst_sphere_tracks_finalize(GObject *object) {
    delete reinterpret_cast<GstSphereTracks *>(object)->store;
    G_OBJECT_CLASS(gst_sphere_tracks_parent_class)->finalize(object);
}

static void gst_sphere_tracks_class_init(GstSphereTracksClass *klass) {
    G_OBJECT_CLASS(klass)->finalize = gst_sphere_tracks_finalize;
}

static void gst_sphere_tracks_init(GstSphereTracks *self) {
    self->store = nullptr;
}

namespace sphere::gst {

GObject *new_tracks_object(std::shared_ptr<TrackStore> store) {
    auto *object =
        static_cast<GstSphereTracks *>(g_object_new(gst_sphere_tracks_get_type(), nullptr));
    object->store = new std::shared_ptr<TrackStore>(std::move(store));
    return G_OBJECT(object);
}

std::shared_ptr<TrackStore> tracks_of(const GstSphereFaceMeta *meta) {
    GObject *object = meta != nullptr ? gst_sphere_face_meta_get_tracks(meta) : nullptr;
    // Somebody else's object is not ours to understand.
    if (object == nullptr || !G_TYPE_CHECK_INSTANCE_TYPE(object, gst_sphere_tracks_get_type()))
        return nullptr;
    const auto *store = reinterpret_cast<GstSphereTracks *>(object)->store;
    return store != nullptr ? *store : nullptr;
}

} // namespace sphere::gst
