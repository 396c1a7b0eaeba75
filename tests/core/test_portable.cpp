// SPDX-License-Identifier: MIT
// Galleries as folders of plain files: there and back, and what is refused.
#include "core/base/base64.h"
#include "core/gallery/npy.h"
#include "core/gallery/portable.h"
#include "tests/support/gallery_testing.h"

#include <algorithm>
#include <cstring>
#include <sys/stat.h>

namespace sphere::testing {
namespace {

namespace fs = std::filesystem;

TEST(Base64, KnownValuesAndBack) { // RFC 4648, section 10
    const std::pair<const char *, const char *> rows[] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (const auto &[plain, coded] : rows) {
        const std::vector<std::uint8_t> bytes(plain, plain + std::strlen(plain));
        EXPECT_EQ(base64_encode(bytes), coded);
        EXPECT_EQ(base64_decode(coded), bytes);
    }
    for (const char *bad :
         {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9"})
        EXPECT_FALSE(base64_decode(bad)) << bad;
}

TEST(Npy, HeadersAreNumpys) {
    const std::string header = npy_header(3, 512);
    EXPECT_EQ(header.size() % 64, 0u);
    EXPECT_EQ(parse_npy_header(header), (NpyShape{3, 512, header.size()}));
    EXPECT_EQ(parse_npy_header(header.substr(0, 20)), std::nullopt);
    std::string other = header;
    other.replace(other.find("<f4"), 3, "<f8");
    EXPECT_EQ(parse_npy_header(other), std::nullopt);
    other = header;
    other.replace(other.find("False"), 5, "True ");
    EXPECT_EQ(parse_npy_header(other), std::nullopt);
    other = header;
    other.replace(other.find("(3,"), 3, "(-,");
    EXPECT_EQ(parse_npy_header(other), std::nullopt);
}

class Portable : public ::testing::Test {
  protected:
    void SetUp() override {
        auto store = open_store(path_, OpenMode::CreateIfMissing);
        ASSERT_TRUE(store.ok());
        Enrolment ana = test_face("ana", {1, -0.0F, 3.4e38F, 0});
        ana.quality = Quality{.score = 0.5F, .sharpness = std::nanf(""), .yaw_deg = -12.25F};
        ana.thumbnail_jpeg = {0xFF, 0xD8, 0, 1, 2};
        ana.added_at_ms = 1234567;
        const auto ids = (*store)->enrol(
            test_stamp(), {ana, test_face("bo", {0, 1, 0, 0}), test_face("bo", {0, 1, 1, 0})});
        ASSERT_TRUE(ids.ok());
        auto admin = open_people_admin(path_);
        RecordSight sight;
        sight.stamp = test_stamp();
        sight.face = test_face("", {1, 1, 1, 1});
        const auto done = (*admin)->apply(
            {SetPerson{"ana", "Ana \"A\"", 0.25F, "{\"team\": [1, 2]}"},
             QuarantineFaces{{(*ids)[2]}, true}, MoveFaces{{}, "no face yet"},
             AddNegative{test_stamp(), "bo", "twin.jpg", {0, 0, 0, 1}},
             AddNegative{test_stamp(), "", "postman.jpg", {0, 0, 1, 0}}, sight});
        ASSERT_TRUE(done.ok()) << done.error().message;
    }
    Result<PortableCounts> write(bool thumbnails = true) {
        auto store = open_store(path_, OpenMode::Existing);
        auto admin = open_people_admin(path_);
        return export_gallery(**store, **admin, folder_, thumbnails, {});
    }
    Result<PortableCounts> read(const std::string &to, ImportOptions options = {}) {
        ImportTarget target;
        target.open = [to] { return open_store(to, OpenMode::CreateIfMissing); };
        target.open_admin = [to] { return open_people_admin(to); };
        return import_gallery(folder_, target, options, {});
    }
    /// Replaces a piece of a file; the manifest learns its new checksum where `honest`.
    void expect_refused(const char *name, const std::string &from, const std::string &to,
                        Errc code) {
        const std::string path = folder_ + "/" + name;
        const std::string bytes = read_bytes(path);
        const std::size_t place = bytes.find(from);
        ASSERT_NE(place, std::string::npos) << from;
        write_bytes(path, std::string(bytes).replace(place, from.size(), to));
        const auto counts = read(dir_ / "refused.gallery");
        ASSERT_FALSE(counts.ok()) << name << " " << to;
        EXPECT_EQ(counts.error().code, code) << counts.error().message;
        EXPECT_NE(counts.error().message.find(folder_), std::string::npos)
            << counts.error().message;
        EXPECT_FALSE(fs::exists(dir_ / "refused.gallery"));
        write_bytes(path, bytes);
    }

    TempDir dir_;
    std::string path_ = dir_ / "g.gallery";
    std::string folder_ = dir_ / "exported";
};

TEST_F(Portable, ThereAndBack) {
    const auto written = write();
    ASSERT_TRUE(written.ok()) << written.error().message;
    EXPECT_EQ(written->people, 3);
    EXPECT_EQ(written->faces, 3);
    EXPECT_EQ(written->negatives, 2);
    struct stat info {};
    for (const auto &entry : fs::directory_iterator(folder_)) {
        ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 07777, 0600u) << entry.path();
    }
    const std::string copy = dir_ / "copy.gallery";
    const auto counts = read(copy);
    ASSERT_TRUE(counts.ok()) << counts.error().message;
    EXPECT_EQ(counts->faces, 3);

    const auto before = *(*open_store(path_, OpenMode::Existing))->load();
    const auto after = *(*open_store(copy, OpenMode::Existing))->load();
    EXPECT_EQ(after.stamp, before.stamp);
    EXPECT_EQ(after.thresholds, before.thresholds);
    ASSERT_EQ(after.faces.size(), 2u); // the third is in quarantine again
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(after.faces[i].person_id, before.faces[i].person_id);
        EXPECT_EQ(after.faces[i].label, before.faces[i].label);
        EXPECT_EQ(after.faces[i].embedding, before.faces[i].embedding);
    }
    EXPECT_TRUE(std::signbit(after.faces[0].embedding[1]));
    ASSERT_EQ(after.negatives.size(), 2u);
    EXPECT_EQ(after.negatives[0].person_id, "bo");
    EXPECT_EQ(after.negatives[1].embedding, (std::vector<float>{0, 0, 1, 0}));
    const auto people = *(*open_store(copy, OpenMode::Existing))->list_people();
    ASSERT_EQ(people.size(), 3u);
    EXPECT_EQ(people[0].attributes, "{\"team\":[1,2]}");
    EXPECT_EQ(people[2].id, "no face yet");

    auto admin = open_people_admin(copy);
    const auto faces = *(*admin)->list_faces("ana");
    ASSERT_EQ(faces.size(), 1u);
    EXPECT_EQ(faces[0].added_at_ms, 1234567);
    EXPECT_EQ(faces[0].source, "ana.jpg");
    EXPECT_EQ(faces[0].quality->yaw_deg, -12.25F);
    EXPECT_TRUE(std::isnan(faces[0].quality->sharpness));
    EXPECT_EQ(*(*admin)->thumbnail(faces[0].face_id),
              (std::vector<std::uint8_t>{0xFF, 0xD8, 0, 1, 2}));
    EXPECT_TRUE((*admin)->notes(0)->strangers.empty());
}

TEST_F(Portable, WithoutThumbnails) {
    ASSERT_TRUE(write(false).ok());
    EXPECT_EQ(read_bytes(folder_ + "/faces.jsonl").find("thumbnail"), std::string::npos);
}

TEST_F(Portable, AFolderThatIsNotEmptyIsLeftAlone) {
    fs::create_directory(folder_);
    write_bytes(folder_ + "/mine.txt", "mine");
    EXPECT_EQ(write().error().code, Errc::InvalidArgument);
    EXPECT_EQ(read_bytes(folder_ + "/mine.txt"), "mine");
}

TEST_F(Portable, PeopleWhoAreThereAreNotMixedUnasked) {
    ASSERT_TRUE(write().ok());
    const auto again = read(path_);
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, Errc::InvalidArgument);
    EXPECT_EQ((*open_store(path_, OpenMode::Existing))->load()->faces.size(), 2u);
    ASSERT_TRUE(read(path_, {.merge = true}).ok());
    EXPECT_EQ((*open_store(path_, OpenMode::Existing))->load()->faces.size(), 4u);
}

TEST_F(Portable, ADryRunChangesNothing) {
    ASSERT_TRUE(write().ok());
    EXPECT_EQ(read(dir_ / "new.gallery", {.dry_run = true})->faces, 3);
    EXPECT_FALSE(fs::exists(dir_ / "new.gallery"));
}

TEST_F(Portable, WhatIsNotWholeIsRefused) {
    ASSERT_TRUE(write().ok());
    expect_refused("people.jsonl", "Ana", "Eve", Errc::Corrupt); // the checksum
    expect_refused("faces.jsonl", "ana.jpg", "eve.jpg", Errc::Corrupt);
    expect_refused("embeddings.npy", std::string("\x80\x3f", 2), "\x80\x40", Errc::Corrupt);
    expect_refused("manifest.json", "gallery/1", "gallery/2", Errc::Unsupported);
    expect_refused("manifest.json", "\"dims\": 4", "\"dims\": 0", Errc::Corrupt);
    expect_refused("manifest.json", "people.jsonl", "../../people", Errc::Corrupt);
    expect_refused("manifest.json", "\"faces\": 3", "\"faces\": 4", Errc::Corrupt);
    expect_refused("manifest.json", "{", "[", Errc::Corrupt);
    fs::remove(folder_ + "/negatives.npy");
    EXPECT_EQ(read(dir_ / "refused.gallery").error().code, Errc::NotFound);
    fs::remove(folder_ + "/manifest.json");
    EXPECT_EQ(read(dir_ / "refused.gallery").error().code, Errc::NotFound);
}

TEST_F(Portable, LinesThatCannotBe) {
    for (const char *line : {"", "[]", "{\"id\": 3}", "{\"id\": \"a\"}",
                             "{\"id\":\"a\",\"label\":\"a\",\"threshold\":\"x\"}",
                             "{\"id\":\"a\",\"label\":\"a\",\"attributes\":[]}",
                             "{\"id\":\"\xff\",\"label\":\"a\"}"})
        EXPECT_FALSE(parse_portable_person(line).ok()) << line;
    const std::string deep =
        "{\"id\":\"a\",\"label\":\"a\",\"attributes\":{\"a\":" + std::string(50000, '[') +
        std::string(50000, ']') + "}}";
    EXPECT_EQ(parse_portable_person(deep).error().code, Errc::Corrupt);
    for (const char *line :
         {"{\"person\":\"a\"}", "{\"person\":\"a\",\"source\":\"\",\"added_at\":-1}",
          "{\"person\":\"a\",\"source\":\"\",\"added_at\":1,\"thumbnail_jpeg\":\"!\"}",
          "{\"person\":\"a\",\"source\":\"\",\"added_at\":1,\"quality\":7}"})
        EXPECT_FALSE(parse_portable_face(line).ok()) << line;
    EXPECT_TRUE(parse_portable_face("{\"person\":\"a\",\"source\":\"\",\"added_at\":1}").ok());
    EXPECT_FALSE(parse_portable_negative("{\"source\":\"\"}").ok());
}

TEST_F(Portable, AnEmptyGalleryHasNothingToExport) {
    const std::string empty = dir_ / "empty.gallery";
    auto store = open_store(empty, OpenMode::CreateIfMissing);
    auto admin = open_people_admin(empty);
    EXPECT_EQ(export_gallery(**store, **admin, folder_, true, {}).error().code, Errc::NotFound);
    EXPECT_FALSE(fs::exists(folder_));
}

} // namespace
} // namespace sphere::testing
