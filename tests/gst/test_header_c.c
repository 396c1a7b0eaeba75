/* SPDX-License-Identifier: MIT
 * The metadata from C: the public header stands alone in C11 (and, through test_header_cpp.cpp,
 * in C++), and the library links and works without anything else of ours. */
#include <gst/sphere/gstspheremeta.h>

#include <string.h>

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            g_printerr("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                 \
            ++failures;                                                                        \
        }                                                                                      \
    } while (0)

static int failures;

static void test_face(void) {
    static const gfloat points[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const gfloat embedding[2] = {0.5F, -0.25F};
    GstSphereFace *face = gst_sphere_face_new(10, 20, 30, 40, 0.5);
    GstSphereFace *copy;
    gdouble x = 0, y = 0, width = 0, height = 0, roll = 0;
    const gfloat *values;
    gsize n = 0;

    gst_sphere_face_set_landmarks(face, points, 10);
    gst_sphere_face_set_embedding(face, embedding, 2, "model|sha|p|template|none|2");
    gst_sphere_face_set_eye_roll(face, -7.5);
    gst_sphere_face_set_unknown_label(face, "guest");
    gst_sphere_face_set_score(face, 0.75);
    copy = gst_sphere_face_copy(face);
    gst_sphere_face_free(face);

    gst_sphere_face_get_box(copy, &x, &y, &width, &height);
    CHECK(x == 10 && y == 20 && width == 30 && height == 40);
    CHECK(gst_sphere_face_get_score(copy) == 0.75);
    values = gst_sphere_face_get_landmarks(copy, &n);
    CHECK(n == 10 && memcmp(values, points, sizeof points) == 0);
    values = gst_sphere_face_get_embedding(copy, &n);
    CHECK(n == 2 && memcmp(values, embedding, sizeof embedding) == 0);
    CHECK(gst_sphere_face_get_eye_roll(copy, &roll) && roll == -7.5);
    CHECK(g_str_equal(gst_sphere_face_get_unknown_label(copy), "guest"));
    gst_sphere_face_free(copy);
}

static void test_types(void) {
    GValue value = G_VALUE_INIT;
    GEnumClass *states = (GEnumClass *)g_type_class_ref(GST_TYPE_SPHERE_FACE_STATE);
    GEnumClass *reasons = (GEnumClass *)g_type_class_ref(GST_TYPE_SPHERE_FACE_REASON);
    CHECK(states->n_values == 5 && reasons->n_values == 13);
    CHECK(g_str_equal(g_enum_get_value(reasons, GST_SPHERE_FACE_REASON_PROFILE)->value_nick,
                      gst_sphere_face_reason_to_string(GST_SPHERE_FACE_REASON_PROFILE)));
    g_type_class_unref(states);
    g_type_class_unref(reasons);

    g_value_init(&value, GST_TYPE_SPHERE_FACE);
    g_value_take_boxed(&value, gst_sphere_face_new(0, 0, 1, 1, 1));
    CHECK(gst_sphere_face_get_track_id((GstSphereFace *)g_value_get_boxed(&value)) == -1);
    g_value_unset(&value);
}

static void test_meta(void) {
    GstBuffer *buffer = gst_buffer_new();
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer, 640, 480);
    GstSphereFace *face = gst_sphere_face_new(10, 20, 30, 40, 0.5);
    CHECK(meta->meta.info == GST_SPHERE_FACE_META_INFO);
    CHECK(meta->meta.info->api == GST_SPHERE_FACE_META_API_TYPE);
    CHECK(gst_meta_api_type_has_tag(GST_SPHERE_FACE_META_API_TYPE,
                                    g_quark_from_static_string("video")));
    gst_sphere_face_meta_add_face(meta, face);
    CHECK(gst_sphere_face_meta_get_n_faces(meta) == 1);
    CHECK(gst_sphere_face_get_id(gst_sphere_face_meta_peek_face(meta, 0)) ==
          gst_sphere_face_get_id(face));
    gst_sphere_face_set_track_id(face, 3);
    CHECK(gst_sphere_face_meta_set_face(meta, 0, face));
    CHECK(!gst_sphere_face_meta_set_face(meta, 1, face));
    CHECK(gst_sphere_face_get_track_id(gst_sphere_face_meta_peek_face(meta, 0)) == 3);
    gst_sphere_face_meta_sync(meta, buffer);
    gst_sphere_face_meta_clear(meta);
    CHECK(gst_sphere_face_meta_peek_face(meta, 0) == NULL);
    gst_sphere_face_free(face);
    gst_buffer_unref(buffer);
}

int main(int argc, char **argv) {
    gst_init(&argc, &argv);
    test_face();
    test_types();
    test_meta();
    return failures == 0 ? 0 : 1;
}
