// SPDX-License-Identifier: MIT
// spherematch collect-unknown and the action signals: strangers keep their ids, become people
// while the stream runs, and go.
#include "core/gallery/people_admin.h"
#include "tests/gst/match_support.h"

#include <fstream>
#include <functional>

using namespace sphere_test;

namespace {

/// A gallery of bob, who is not in the test's frames.
struct Setting {
    TempDir dir;
    Probe probe = probe_of_test_frame();
    sphere::EmbeddingStamp stamp = *sphere::EmbeddingStamp::from_string(probe.stamp);
    std::string gallery = dir / "people.db";
    Setting() { enrol(gallery, "bob", other_person(probe.values), stamp); }

    std::vector<sphere::Stranger> strangers() const {
        auto admin = sphere::open_people_admin(gallery);
        EXPECT_TRUE(admin.ok()) << admin.error().message;
        return (*admin)->notes(0)->strangers;
    }
};

constexpr const char *kCollect = "collect-unknown=true unknown-min-quality=0";

/// What the frame's face is said to be: a person's id, else a stranger's, else "".
struct Seen {
    std::string person, stranger, label;
};
Seen see(MatchElement &element) {
    GstBuffer *out = element.push(0);
    const GstSphereFace *face =
        gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0);
    const auto text = [](const gchar *value) { return std::string(value ? value : ""); };
    Seen seen = {text(gst_sphere_face_get_match_id(face)),
                 text(gst_sphere_face_get_stranger_id(face)),
                 text(gst_sphere_face_get_unknown_label(face))};
    gst_buffer_unref(out);
    return seen;
}

/// Pushes frames until it holds; they pass while the gallery is written.
testing::AssertionResult soon(const std::function<bool()> &holds) {
    const gint64 deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    while (!holds()) {
        if (g_get_monotonic_time() > deadline)
            return testing::AssertionFailure() << "not within 20 s";
        g_usleep(10000);
    }
    return testing::AssertionSuccess();
}

gboolean act(MatchElement &element, const char *signal, const char *first,
             const char *second = nullptr) {
    GstElement *match = gst_bin_get_by_name(GST_BIN(element.bin), "match");
    gboolean done = FALSE;
    if (second != nullptr)
        g_signal_emit_by_name(match, signal, first, second, &done);
    else
        g_signal_emit_by_name(match, signal, first, &done);
    gst_object_unref(match);
    return done;
}

gboolean enrol_by_signal(MatchElement &element, const char *id, gint64 track) {
    GstElement *match = gst_bin_get_by_name(GST_BIN(element.bin), "match");
    gboolean done = FALSE;
    g_signal_emit_by_name(match, "enrol", id, track, &done);
    gst_object_unref(match);
    return done;
}

std::string all_bytes(const TempDir &dir) {
    std::string bytes;
    for (const auto &entry : std::filesystem::directory_iterator(dir / "")) {
        std::ifstream file(entry.path(), std::ios::binary);
        bytes.append(std::istreambuf_iterator<char>(file), {});
    }
    return bytes;
}

bool holds_embedding(const TempDir &dir, const std::vector<float> &values) {
    const std::string wanted(reinterpret_cast<const char *>(values.data()),
                             values.size() * sizeof(float));
    return all_bytes(dir).find(wanted) != std::string::npos;
}

TEST(Strangers, AreNotCollectedUnlessAskedFor) {
    const Setting setting;
    MatchElement element(setting.gallery);
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(see(element).stranger, "");
    EXPECT_TRUE(setting.strangers().empty());
    EXPECT_FALSE(holds_embedding(setting.dir, setting.probe.values));
}

TEST(Strangers, KeepTheirIdAndBecomePeopleWhileTheStreamRuns) {
    const Setting setting;
    {
        MatchElement element(setting.gallery, std::string(kCollect) + " stream=door");
        EXPECT_TRUE(soon([&] { return see(element).stranger == "unknown-1"; }));
        EXPECT_EQ(see(element).label, "unknown-1");
        const auto messages = element.bus.messages(GST_MESSAGE_ELEMENT);
        ASSERT_EQ(messages.size(), 2U);
        EXPECT_NE(messages[1].find("event=(string)identified"), std::string::npos)
            << messages[1];
        EXPECT_NE(messages[1].find("id=(string)unknown-1"), std::string::npos) << messages[1];
        EXPECT_NE(messages[1].find("state=(string)unknown"), std::string::npos) << messages[1];
    }
    ASSERT_EQ(setting.strangers().size(), 1U);
    EXPECT_EQ(setting.strangers()[0].visits, 1);

    // Another camera on another day: the same stranger, another visit.
    MatchElement element(setting.gallery, std::string(kCollect) + " stream=garage");
    EXPECT_EQ(see(element).stranger, "unknown-1");
    EXPECT_TRUE(soon([&] { return setting.strangers()[0].visits == 2; }));

    EXPECT_FALSE(act(element, "promote", "unknown-7", "ada"));
    EXPECT_EQ(element.bus.messages(GST_MESSAGE_WARNING).size(), 1U);
    EXPECT_TRUE(act(element, "promote", "unknown-1", "ada"));
    EXPECT_TRUE(soon([&] { return see(element).person == "ada"; }));
    EXPECT_EQ(see(element).stranger, "");
    EXPECT_TRUE(setting.strangers().empty()) << "who was promoted came back as a stranger";
}

TEST(Strangers, PoorPicturesMakeNone) {
    const Setting setting;
    MatchElement element(setting.gallery, "collect-unknown=true unknown-min-quality=1");
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(see(element).stranger, "");
        g_usleep(5000);
    }
    EXPECT_TRUE(setting.strangers().empty());
}

TEST(Strangers, GoAfterTheirTimeAndLeaveNoTrace) {
    const Setting setting;
    MatchElement element(setting.gallery, kCollect);
    EXPECT_TRUE(soon([&] { return see(element).stranger == "unknown-1"; }));
    EXPECT_TRUE(holds_embedding(setting.dir, setting.probe.values)) << "the control";
    GstElement *match = gst_bin_get_by_name(GST_BIN(element.bin), "match");
    // From now on too poor to come back.
    g_object_set(match, "unknown-retention", G_GUINT64_CONSTANT(1), "unknown-min-quality", 1.0F,
                 nullptr);
    EXPECT_TRUE(soon([&] { return see(element).stranger.empty(); }));
    EXPECT_TRUE(soon([&] { return !holds_embedding(setting.dir, setting.probe.values); }));
    EXPECT_TRUE(setting.strangers().empty());
    GstStructure *stats = nullptr;
    g_object_get(match, "stats", &stats, nullptr);
    guint64 recorded = 0;
    EXPECT_TRUE(gst_structure_get_uint64(stats, "strangers-recorded", &recorded));
    EXPECT_GE(recorded, 1U);
    EXPECT_TRUE(gst_structure_has_field(stats, "strangers-dropped"));
    gst_structure_free(stats);
    gst_object_unref(match);
}

TEST(Strangers, GoAfterTheirTimeWhereNobodyCollectsAnyMore) {
    const Setting setting;
    {
        MatchElement element(setting.gallery, kCollect);
        EXPECT_TRUE(soon([&] { return see(element).stranger == "unknown-1"; }));
    }
    {
        // By default nobody is removed: another pipeline may keep them for longer.
        MatchElement element(setting.gallery);
        for (int i = 0; i < 20; ++i) {
            EXPECT_EQ(see(element).stranger, "");
            g_usleep(5000);
        }
    }
    ASSERT_EQ(setting.strangers().size(), 1U);
    EXPECT_TRUE(holds_embedding(setting.dir, setting.probe.values)) << "the control";
    MatchElement element(setting.gallery, "unknown-retention=1");
    EXPECT_TRUE(soon([&] {
        (void)see(element);
        return setting.strangers().empty();
    }));
    EXPECT_TRUE(soon([&] { return !holds_embedding(setting.dir, setting.probe.values); }));
}

/// What the gallery knows beyond faces decides in the running element, too.
TEST(Decisions, OwnThresholdsNegativesAndFacesToIgnore) {
    const Setting setting;
    std::vector<float> near = setting.probe.values;
    near[0] += 0.5F;
    enrol(setting.gallery, "ada", near, setting.stamp);
    MatchElement element(setting.gallery, "self-check=false");
    EXPECT_EQ(see(element).person, "ada");
    const auto change = [&](const sphere::GalleryChange &what) {
        const auto applied = (*sphere::open_people_admin(setting.gallery))->apply({what});
        EXPECT_TRUE(applied.ok()) << applied.error().message;
        return applied ? applied->front() : 0;
    };
    sphere::SetPerson own;
    own.id = "ada";
    own.threshold = 1e-6F;
    change(own);
    EXPECT_TRUE(soon([&] { return see(element).person.empty(); })) << "her own threshold";
    own.threshold.reset();
    own.common_threshold = true;
    change(own);
    EXPECT_TRUE(soon([&] { return see(element).person == "ada"; })) << "the common one again";

    const auto negative =
        change(sphere::AddNegative{setting.stamp, "ada", "not her", setting.probe.values});
    EXPECT_TRUE(soon([&] { return see(element).person.empty(); })) << "this is not ada";
    change(sphere::RemoveNegative{negative});
    EXPECT_TRUE(soon([&] { return see(element).person == "ada"; }));

    change(sphere::AddNegative{setting.stamp, "", "the postman", setting.probe.values});
    EXPECT_TRUE(soon([&] { return see(element).person.empty(); })) << "a face to ignore";
    GstBuffer *out = element.push(0);
    const GstSphereFace *face =
        gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0);
    EXPECT_EQ(gst_sphere_face_get_state(face), GST_SPHERE_FACE_STATE_UNUSABLE);
    EXPECT_EQ(gst_sphere_face_get_reason(face), GST_SPHERE_FACE_REASON_IGNORED);
    gst_buffer_unref(out);
}

/// Warnings of what was asked for, without those of the self-check, which come when they come.
std::vector<std::string> warnings_of(MatchElement &element) {
    auto warnings = element.bus.messages(GST_MESSAGE_WARNING);
    std::erase_if(warnings, [](const std::string &text) {
        return text.find("unsafe") != std::string::npos;
    });
    return warnings;
}

TEST(SelfCheck, WarnsOnceOfAnUnsafeThresholdAndSuggestsAnother) {
    const Setting setting;
    // Two people so near each other that strangers would be taken for them at 0.9.
    for (int person = 0; person < 4; ++person) {
        std::vector<float> values = setting.probe.values;
        values[static_cast<std::size_t>(person)] += 3;
        enrol(setting.gallery, "person " + std::to_string(person), values, setting.stamp);
    }
    MatchElement element(setting.gallery, "threshold=0.9 margin=0");
    std::string warning;
    EXPECT_TRUE(soon([&] {
        (void)see(element);
        for (const std::string &text : element.bus.messages(GST_MESSAGE_WARNING))
            warning += text;
        return !warning.empty();
    }));
    EXPECT_NE(warning.find("Threshold 0.9000 is unsafe"), std::string::npos) << warning;
    for (int i = 0; i < 20; ++i) {
        (void)see(element);
        g_usleep(2000);
    }
    EXPECT_TRUE(element.bus.messages(GST_MESSAGE_WARNING).empty()) << "more than once";
    GstElement *match = gst_bin_get_by_name(GST_BIN(element.bin), "match");
    GstStructure *stats = nullptr;
    g_object_get(match, "stats", &stats, nullptr);
    gdouble suggested = 2;
    EXPECT_TRUE(gst_structure_get_double(stats, "suggested-threshold", &suggested));
    EXPECT_LE(suggested, 0.4 + 1e-6) << "looser than the model's own";
    guint64 unsafe = 0;
    EXPECT_TRUE(gst_structure_get_uint64(stats, "threshold-unsafe", &unsafe));
    EXPECT_EQ(unsafe, 1U);
    gst_structure_free(stats);
    gst_object_unref(match);
}

TEST(SelfCheck, IsSilentWhereTheThresholdIsSafeOrItIsOff) {
    const Setting setting;
    enrol(setting.gallery, "eve", other_person(setting.probe.values), setting.stamp);
    MatchElement off(setting.gallery, "self-check=false");
    Setting safe;
    enrol(safe.gallery, "ada", safe.probe.values, safe.stamp);
    MatchElement on(safe.gallery, "threshold=0.0001");
    const auto checked = [](MatchElement &element) {
        GstElement *match = gst_bin_get_by_name(GST_BIN(element.bin), "match");
        GstStructure *stats = nullptr;
        g_object_get(match, "stats", &stats, nullptr);
        const bool has = gst_structure_has_field(stats, "threshold-unsafe") != FALSE;
        gst_structure_free(stats);
        gst_object_unref(match);
        return has;
    };
    EXPECT_TRUE(soon([&] {
        (void)see(on);
        (void)see(off);
        return checked(on);
    }));
    EXPECT_FALSE(checked(off));
    EXPECT_TRUE(on.bus.messages(GST_MESSAGE_WARNING).empty());
    EXPECT_TRUE(off.bus.messages(GST_MESSAGE_WARNING).empty());
}

TEST(Actions, EnrolAndForgetByTheRunningStream) {
    const Setting setting;
    MatchElement element(setting.gallery);
    EXPECT_FALSE(enrol_by_signal(element, "ada", -1)) << "no frame yet";
    EXPECT_EQ(see(element).person, "");
    EXPECT_FALSE(enrol_by_signal(element, "ada", 17)) << "no such track";
    EXPECT_FALSE(enrol_by_signal(element, "", -1)) << "no name";
    EXPECT_EQ(warnings_of(element).size(), 3U);
    ASSERT_TRUE(enrol_by_signal(element, "ada", -1));
    EXPECT_TRUE(soon([&] { return see(element).person == "ada"; }));
    auto warnings = warnings_of(element);
    ASSERT_EQ(warnings.size(), 1U) << "the made picture is a poor one";
    EXPECT_NE(warnings[0].find("quality"), std::string::npos) << warnings[0];

    EXPECT_TRUE(enrol_by_signal(element, "eve", -1));
    warnings = warnings_of(element);
    ASSERT_EQ(warnings.size(), 2U) << "one face under two names";
    EXPECT_NE(warnings[1].find("looks like ada"), std::string::npos) << warnings[1];

    EXPECT_TRUE(act(element, "forget", "eve"));
    EXPECT_TRUE(act(element, "forget", "ada"));
    EXPECT_FALSE(act(element, "forget", "ada")) << "gone already";
    EXPECT_TRUE(soon([&] { return see(element).person.empty(); }));
    EXPECT_FALSE(holds_embedding(setting.dir, setting.probe.values));
}

} // namespace
