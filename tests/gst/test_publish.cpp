// SPDX-License-Identifier: MIT
// spherepublish: events as spherematch tells them, best shots, queues, and no passwords.
#include "tests/gst/match_support.h"

#include <nlohmann/json.hpp>

#include <fstream>
#include <sys/stat.h>

using namespace sphere_test;

namespace {

using Json = nlohmann::json;

std::vector<Json> records_of(const std::string &path) {
    std::vector<Json> records;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        records.push_back(Json::parse(line));
    return records;
}

/// "appeared|ada|ada|3|known|40000000", of a record and of a bus message.
std::string line_of(const Json &record) {
    const auto text = [](const Json &value) {
        return value.is_null()     ? ""
               : value.is_string() ? value.get<std::string>()
                                   : value.dump();
    };
    const std::string track = record["track"].is_null() ? "-1" : record["track"].dump();
    return text(record["event"]) + "|" + text(record["id"]) + "|" + text(record["label"]) +
           "|" + track + "|" + text(record["state"]) + "|" + text(record["pts"]) + "|" +
           text(record["stream_time"]);
}

std::string number_or_nothing(guint64 time) {
    return GST_CLOCK_TIME_IS_VALID(time) ? std::to_string(time) : "";
}

std::string line_of(const GstStructure *event, double &distance) {
    gint64 track = 0;
    guint64 pts = 0, stream_time = 0;
    gst_structure_get(event, "track", G_TYPE_INT64, &track, "pts", G_TYPE_UINT64, &pts,
                      "stream-time", G_TYPE_UINT64, &stream_time, "distance", G_TYPE_DOUBLE,
                      &distance, nullptr);
    const auto text = [event](const char *name) {
        return std::string(gst_structure_get_string(event, name));
    };
    return text("event") + "|" + text("id") + "|" + text("label") + "|" +
           std::to_string(track) + "|" + text("state") + "|" + number_or_nothing(pts) + "|" +
           number_or_nothing(stream_time);
}

struct BusEvent {
    std::string line;
    double distance = 0;
};

/// `road` on a bus; what spherematch says there while `frames` frames go by, every fifth second
/// of them without a face.
std::vector<BusEvent> run_road(const std::string &road, int frames) {
    GstElement *bin = gst_parse_bin_from_description(road.c_str(), TRUE, nullptr);
    gst_object_ref_sink(bin);
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(bin, bus);
    {
        const Harness harness(gst_harness_new_with_element(bin, "sink", "src"));
        gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {96, 96}).c_str());
        bool face = true;
        for (int i = 0; i < frames; ++i) {
            const bool wanted = i / 25 % 5 != 4;
            const Size size = wanted ? Size{96, 96} : Size{4, 4}; // no face at 4x4
            if (wanted != face)
                gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", size).c_str());
            face = wanted;
            gst_harness_push(
                harness.get(),
                make_frame("BGR", size, 0, static_cast<guint64>(i) * 40 * GST_MSECOND));
        }
        gst_harness_push_event(harness.get(), gst_event_new_eos());
    }
    std::vector<BusEvent> events;
    while (GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT)) {
        const GstStructure *structure = gst_message_get_structure(message);
        if (gst_structure_has_name(structure, "sphere-match")) {
            events.emplace_back();
            events.back().line = line_of(structure, events.back().distance);
        }
        gst_message_unref(message);
    }
    gst_element_set_state(bin, GST_STATE_NULL);
    gst_element_set_bus(bin, nullptr);
    gst_object_unref(bus);
    gst_object_unref(bin);
    return events;
}

class PublishEvents : public testing::TestWithParam<const char *> {};

TEST_P(PublishEvents, AreThoseOfTheBus) {
    const TempDir dir;
    const Probe probe = probe_of_test_frame();
    const std::string gallery = dir / "people.db";
    enrol(gallery, "ada", probe.values, *sphere::EmbeddingStamp::from_string(probe.stamp));
    const std::string path = dir / "events.jsonl";
    const auto told = run_road(
        std::string("spheredetect model=fake-detect ! ") + GetParam() +
            " spherealign ! sphereembed model=fake-embed ! spherematch presence-timeout=500 "
            "gallery=" +
            gallery +
            " ! spherepublish mode=events presence-timeout=500 stream=door location=" + path,
        300);
    const auto records = records_of(path);
    ASSERT_GE(records.size(), 6U); // there twice, and away between
    ASSERT_EQ(records.size(), told.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
        EXPECT_EQ(line_of(records[i]), told[i].line);
        EXPECT_NEAR(records[i]["distance"], told[i].distance, 1e-6);
        EXPECT_EQ(records[i]["schema"], "sphere.event/1");
        EXPECT_EQ(records[i]["stream"], "door");
        EXPECT_TRUE(records[i].contains("time"));
        EXPECT_FALSE(records[i].contains("best_shot")) << "biometric data unasked for";
    }
    EXPECT_EQ(records.front()["event"], "appeared");
    EXPECT_EQ(records.back()["event"], "left");
}

INSTANTIATE_TEST_SUITE_P(Roads, PublishEvents, testing::Values("", "spheretrack !"),
                         [](const auto &info) {
                             return std::string(*info.param != '\0' ? "tracked" : "untracked");
                         });

class PublishShots : public testing::TestWithParam<const char *> {};

TEST_P(PublishShots, AreJpegsOfTheCrop) {
    const TempDir dir;
    const Probe probe = probe_of_test_frame();
    const std::string gallery = dir / "people.db";
    enrol(gallery, "ada", probe.values, *sphere::EmbeddingStamp::from_string(probe.stamp));
    const std::string path = dir / "events.jsonl";
    run_road(std::string("spheredetect model=fake-detect ! ") + GetParam() +
                 " spherealign ! sphereembed model=fake-embed ! spherematch gallery=" +
                 gallery + " ! spherepublish mode=events best-shot=true location=" + path,
             30);
    const auto records = records_of(path);
    ASSERT_GE(records.size(), 3U);
    for (const Json &record : records) {
        ASSERT_TRUE(record["best_shot"].is_string()) << record["event"];
        EXPECT_EQ(record["best_shot"].get<std::string>().substr(0, 4), "/9j/"); // FF D8 FF
    }
}

INSTANTIATE_TEST_SUITE_P(Roads, PublishShots, testing::Values("", "spheretrack !"),
                         [](const auto &info) {
                             return std::string(*info.param != '\0' ? "tracked" : "untracked");
                         });

guint64 stat_of(GstElement *element, const char *name) {
    GstStructure *stats = nullptr;
    g_object_get(element, "stats", &stats, nullptr);
    guint64 value = G_MAXUINT64;
    gst_structure_get_uint64(stats, name, &value);
    gst_structure_free(stats);
    return value;
}

TEST(PublishQueue, AFileBehindAQueueIsTheSameFile) {
    for (const char *leaky : {"no", "upstream", "downstream"}) {
        const TempDir dir;
        const std::string path = dir / "faces.jsonl";
        {
            const std::string road =
                std::string("spherepublish leaky=") + leaky + " location=" + path;
            const Harness harness(gst_harness_new_parse(road.c_str()));
            gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
            for (int i = 0; i < 200; ++i)
                gst_harness_push(harness.get(), make_frame("I420", {64, 48}, 0, i));
        }
        const auto records = records_of(path);
        ASSERT_EQ(records.size(), 200U) << leaky;
        for (std::size_t i = 0; i < records.size(); ++i)
            EXPECT_EQ(records[i]["pts"], i);
        EXPECT_FALSE(records[0].contains("sequence"));
    }
}

TEST(PublishQueue, AServerThatIsAwayIsOneWarningAndCounted) {
    const TempDir dir;
    g_setenv("XDG_STATE_HOME", (dir / "state").c_str(), TRUE);
    GstElement *publish = gst_element_factory_make("spherepublish", nullptr);
    gst_object_ref_sink(publish);
    ElementOnBus element(publish);
    const std::string location = "unix:" + dir / "nobody";
    g_object_set(publish, "location", location.c_str(), nullptr);
    {
        const Harness harness(gst_harness_new_with_element(publish, "sink", "src"));
        gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
        for (int i = 0; i < 100; ++i)
            EXPECT_EQ(gst_harness_push(harness.get(), make_frame("I420", {64, 48}, 0, i)),
                      GST_FLOW_OK);
        const gint64 deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
        while (stat_of(publish, "spill-waiting") != 100 && g_get_monotonic_time() < deadline)
            g_usleep(10000);
        EXPECT_EQ(stat_of(publish, "spill-waiting"), 100U);
        EXPECT_EQ(stat_of(publish, "away"), 1U);
        EXPECT_EQ(stat_of(publish, "dropped"), 0U);
        EXPECT_EQ(stat_of(publish, "sent"), 0U);
    }
    const auto warnings = element.messages(GST_MESSAGE_WARNING);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find(location), std::string::npos) << warnings[0];
    EXPECT_TRUE(element.messages(GST_MESSAGE_ERROR).empty());
    EXPECT_TRUE(std::filesystem::is_directory(dir / "state/sphere/spill"));
}

TEST(PublishQueue, AStreamThatWaitsForRoomLetsGoAtTheEnd) {
    const TempDir dir;
    GstElement *pipeline = gst_parse_launch(
        ("videotestsrc ! spherepublish leaky=no max-queued=3 spill-max-bytes=0 location=unix:" +
         dir / "nobody" + " ! fakesink")
            .c_str(),
        nullptr);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_usleep(200000);
    EXPECT_NE(gst_element_set_state(pipeline, GST_STATE_NULL), GST_STATE_CHANGE_FAILURE);
    gst_object_unref(pipeline);
}

TEST(PublishLocation, PasswordsAreRefusedAndNeverShown) {
    GstElement *publish = gst_element_factory_make("spherepublish", nullptr);
    gst_object_ref_sink(publish);
    ElementOnBus element(publish);
    for (const char *location :
         {"mqtt://me:hunter2@127.0.0.1/topic", "https://127.0.0.1/hook?token=hunter2"}) {
        g_object_set(publish, "location", location, nullptr);
        gchar *shown = nullptr;
        g_object_get(publish, "location", &shown, nullptr);
        EXPECT_EQ(std::string(shown).find("hunter2"), std::string::npos) << shown;
        g_free(shown);
        EXPECT_EQ(gst_element_set_state(publish, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
        const auto errors = element.messages(GST_MESSAGE_ERROR);
        ASSERT_EQ(errors.size(), 1U);
        EXPECT_EQ(errors[0].find("hunter2"), std::string::npos) << errors[0];
        EXPECT_NE(errors[0].find("credentials-file"), std::string::npos) << errors[0];
        gst_element_set_state(publish, GST_STATE_NULL);
    }
}

TEST(PublishRotation, FilesAreWholePrivateAndBounded) {
    const TempDir dir;
    const std::string path = dir / "faces.jsonl";
    for (int run = 0; run < 2; ++run) {
        const std::string road =
            "spherepublish rotate-bytes=1000 rotate-keep=3 location=" + path;
        const Harness harness(gst_harness_new_parse(road.c_str()));
        gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
        for (int i = 0; i < 100; ++i)
            gst_harness_push(harness.get(), make_frame("I420", {64, 48}, 0,
                                                       static_cast<guint64>(run * 100 + i)));
    }
    std::vector<std::uint64_t> pts;
    for (const char *name :
         {"faces.jsonl.3", "faces.jsonl.2", "faces.jsonl.1", "faces.jsonl"}) {
        struct stat info {};
        ASSERT_EQ(stat((dir / name).c_str(), &info), 0) << name;
        EXPECT_EQ(info.st_mode & 07777, 0600U);
        EXPECT_LE(info.st_size, 1000);
        for (const Json &record : records_of(dir / name))
            pts.push_back(record["pts"]);
    }
    EXPECT_FALSE(std::filesystem::exists(dir / "faces.jsonl.4"));
    ASSERT_FALSE(pts.empty());
    EXPECT_EQ(pts.back(), 199U);
    for (std::size_t i = 1; i < pts.size(); ++i)
        EXPECT_EQ(pts[i], pts[i - 1] + 1);
}

} // namespace
