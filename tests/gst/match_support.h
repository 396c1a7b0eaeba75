// SPDX-License-Identifier: MIT
// A spherematch behind fake models, and galleries for it.
#pragma once

#include "core/gallery/store.h"
#include "tests/gst/element_support.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace sphere_test {

class TempDir {
  public:
    TempDir() {
        gchar *made = g_dir_make_tmp("sphere-test-XXXXXX", nullptr);
        path_ = made;
        g_free(made);
    }
    ~TempDir() { std::filesystem::remove_all(path_); }
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

inline constexpr const char *kRoad =
    "spheredetect model=fake-detect ! spherealign ! sphereembed model=fake-embed";

struct Probe {
    std::vector<float> values;
    std::string stamp;
};

inline Probe probe_of_test_frame() {
    const Harness harness(gst_harness_new_parse(kRoad));
    gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {96, 96}).c_str());
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), make_frame("BGR", {96, 96}, 0));
    Probe probe{embedding_of(out),
                gst_sphere_face_get_embedding_stamp(
                    gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0))};
    gst_buffer_unref(out);
    return probe;
}

// Away from `values` by a rotation in two of its components.
inline std::vector<float> other_person(std::vector<float> values) {
    for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
        std::swap(values[i], values[i + 1]);
        values[i] = -values[i];
    }
    return values;
}

inline void enrol(const std::string &path, const std::string &id,
                  const std::vector<float> &values, sphere::EmbeddingStamp stamp) {
    auto store = sphere::open_store(path, sphere::OpenMode::CreateIfMissing);
    ASSERT_TRUE(store.ok()) << store.error().message;
    sphere::Enrolment enrolment;
    enrolment.person_id = id;
    enrolment.source = "test";
    enrolment.embedding = values;
    const auto rows = (*store)->enrol(stamp, {enrolment});
    ASSERT_TRUE(rows.ok()) << rows.error().message;
}

struct MatchElement {
    explicit MatchElement(const std::string &gallery, const std::string &more = "")
        : bin(make(gallery, more)), bus(bin),
          harness(gst_harness_new_with_element(bin, "sink", "src")) {
        gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {96, 96}).c_str());
    }
    ~MatchElement() { harness.reset(); }
    static GstElement *make(const std::string &gallery, const std::string &more) {
        const std::string road =
            std::string(kRoad) + " ! spherematch name=match gallery=" + gallery + " " + more;
        GstElement *bin = gst_parse_bin_from_description(road.c_str(), TRUE, nullptr);
        gst_object_ref_sink(bin);
        return bin;
    }
    GstBuffer *push(GstClockTime pts = 0) {
        return gst_harness_push_and_pull(harness.get(), make_frame("BGR", {96, 96}, 0, pts));
    }

    GstElement *bin;
    ElementOnBus bus;
    Harness harness;
};

} // namespace sphere_test
