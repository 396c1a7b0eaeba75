// SPDX-License-Identifier: MIT
// spherematch on a gallery whose server goes away and comes back.
#include "tests/conformance/postgres_server.h"
#include "tests/gst/match_support.h"

#include <functional>

namespace sphere_test {
namespace {

using sphere::testing::PostgresServer;

class MatchServer : public testing::Test {
  protected:
    void SetUp() override {
        if (const std::string &why = PostgresServer::get().unavailable(); !why.empty())
            GTEST_SKIP() << why;
        location_ = PostgresServer::get().new_database();
        const auto store = sphere::open_store(location_, sphere::OpenMode::CreateIfMissing);
        if (!store && store.error().code == sphere::Errc::Unsupported)
            GTEST_SKIP() << store.error().message;
        ASSERT_TRUE(store.ok()) << store.error().message;
    }
    std::string location_;
};

/// Pushes frames until `there` holds of one that came out.
bool until(MatchElement &element, const std::function<bool(GstBuffer *)> &there) {
    const gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    while (g_get_monotonic_time() < deadline) {
        GstBuffer *out = element.push();
        const bool done = there(out);
        gst_buffer_unref(out);
        if (done)
            return true;
        g_usleep(20000);
    }
    return false;
}

std::string name_of(GstBuffer *buffer) {
    const gchar *id = gst_sphere_face_get_match_id(
        gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(buffer), 0));
    return id != nullptr ? id : "";
}

GstElement *matcher_of(const MatchElement &element) {
    return gst_bin_get_by_name(GST_BIN(element.bin), "match");
}

guint64 stat(const MatchElement &element, const char *name) {
    GstElement *match = matcher_of(element);
    GstStructure *stats = nullptr;
    g_object_get(match, "stats", &stats, nullptr);
    guint64 value = 999;
    gst_structure_get_uint64(stats, name, &value);
    gst_structure_free(stats);
    gst_object_unref(match);
    return value;
}

TEST_F(MatchServer, GoesOnWithoutItSaysSoOnceAndCatchesUp) {
    const Probe probe = probe_of_test_frame();
    const auto stamp = *sphere::EmbeddingStamp::from_string(probe.stamp);
    enrol(location_, "ada", probe.values, stamp);
    MatchElement element(location_);
    ASSERT_TRUE(until(element, [](GstBuffer *b) { return name_of(b) == "ada"; }));
    EXPECT_EQ(stat(element, "gallery-lost"), 0U);
    EXPECT_EQ(stat(element, "gallery-losses"), 0U);
    const guint64 version = stat(element, "gallery-version");

    PostgresServer::get().stop();
    ASSERT_TRUE(
        until(element, [&](GstBuffer *) { return stat(element, "gallery-lost") == 1; }));
    for (int i = 0; i < 50; ++i) { // over several attempts of its own
        GstBuffer *out = element.push();
        EXPECT_EQ(name_of(out), "ada");
        gst_buffer_unref(out);
        g_usleep(40000);
    }
    const auto warnings = element.bus.messages(GST_MESSAGE_WARNING);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("not followed"), std::string::npos) << warnings[0];
    EXPECT_EQ(warnings[0].find(PostgresServer::kPassword), std::string::npos) << warnings[0];
    EXPECT_EQ(stat(element, "gallery-losses"), 1U);
    EXPECT_EQ(stat(element, "gallery-version"), version);
    EXPECT_TRUE(element.bus.messages(GST_MESSAGE_INFO).empty());

    ASSERT_TRUE(PostgresServer::get().start());
    auto store = sphere::open_store(location_, sphere::OpenMode::Existing);
    ASSERT_TRUE(store.ok()) << store.error().message;
    ASSERT_TRUE((*store)->remove_person("ada").ok());
    enrol(location_, "bob", probe.values, stamp);
    EXPECT_TRUE(until(element, [](GstBuffer *b) { return name_of(b) == "bob"; }));
    EXPECT_EQ(stat(element, "gallery-lost"), 0U);
    EXPECT_EQ(stat(element, "gallery-losses"), 1U);
    EXPECT_GT(stat(element, "gallery-version"), version);
    EXPECT_EQ(element.bus.messages(GST_MESSAGE_INFO).size(), 1U);
    EXPECT_TRUE(element.bus.messages(GST_MESSAGE_WARNING).empty());
    EXPECT_TRUE(element.bus.messages(GST_MESSAGE_ERROR).empty());
}

TEST_F(MatchServer, APasswordIsNotReadBack) {
    const Probe probe = probe_of_test_frame();
    enrol(location_, "ada", probe.values, *sphere::EmbeddingStamp::from_string(probe.stamp));
    const MatchElement element(location_);
    GstElement *match = matcher_of(element);
    gchar *shown = nullptr;
    g_object_get(match, "gallery", &shown, nullptr);
    EXPECT_EQ(std::string(shown).find(PostgresServer::kPassword), std::string::npos) << shown;
    EXPECT_NE(std::string(shown).find("sphere:***@127.0.0.1"), std::string::npos) << shown;
    g_free(shown);
    gchar *drawn =
        gst_debug_bin_to_dot_data(GST_BIN(element.bin), GST_DEBUG_GRAPH_SHOW_VERBOSE);
    EXPECT_EQ(std::string(drawn).find(PostgresServer::kPassword), std::string::npos);
    g_free(drawn);
    gst_object_unref(match);
}

} // namespace
} // namespace sphere_test
