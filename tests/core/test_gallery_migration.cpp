// SPDX-License-Identifier: MIT
// Gallery files of older formats: a version 1 made by the SQL of its time.
#include "core/gallery/people_admin.h"
#include "core/gallery/store.h"
#include "tests/support/gallery_testing.h"

#include <cstring>
#include <sqlite3.h>
#include <sys/stat.h>

namespace sphere::testing {
namespace {

/// As gst-sphere 0.1.0 made it, before there were negatives, strangers and the audit table.
constexpr const char *kVersion1 = R"sql(
PRAGMA page_size=16384;
PRAGMA application_id = 1397770322;
CREATE TABLE stamps (
    stamp INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    preprocessing TEXT NOT NULL,
    template TEXT NOT NULL,
    flip TEXT NOT NULL,
    dims INTEGER NOT NULL CHECK (dims BETWEEN 1 AND 16384),
    UNIQUE (model, sha256, preprocessing, template, flip, dims)
) STRICT;
CREATE TABLE gallery (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    stamp INTEGER REFERENCES stamps
) STRICT;
CREATE TABLE people (
    person INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    attributes TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE TABLE faces (
    face INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    added_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    quality_score REAL,
    sharpness REAL,
    brightness REAL,
    yaw_deg REAL,
    pitch_deg REAL,
    roll_deg REAL,
    eye_distance_px REAL,
    thumbnail_jpeg BLOB
) STRICT;
CREATE INDEX faces_by_person ON faces (person);
CREATE TABLE embeddings (
    face INTEGER NOT NULL REFERENCES faces ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES stamps,
    vector BLOB NOT NULL,
    UNIQUE (face, stamp)
) STRICT;
INSERT INTO gallery (id, version) VALUES (1, 41);
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
INSERT INTO stamps VALUES (3, 'test-model', printf('%.64c', 'a'), 'bgr-127.5',
    'sphereface-112x96', 'concat', 4);
UPDATE gallery SET stamp = 3, version = 42;
INSERT INTO people (person, id, label) VALUES (7, 'ana', 'Ana'), (9, 'bo', 'bo');
INSERT INTO faces (face, person, added_at, source, quality_score) VALUES
    (11, 7, 1000, 'ana.jpg', 0.5), (12, 9, 2000, 'bo.jpg', NULL);
INSERT INTO embeddings VALUES (11, 3, x'0000803F000000000000000000000000'),
    (12, 3, x'000000000000803F0000000000000000');
)sql";

class GalleryMigration : public ::testing::Test {
  protected:
    void SetUp() override {
        sqlite3 *db = nullptr;
        ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
        char *message = nullptr;
        ASSERT_EQ(sqlite3_exec(db, kVersion1, nullptr, nullptr, &message), SQLITE_OK)
            << message;
        sqlite3_close(db);
    }
    TempDir dir_;
    std::string path_ = dir_ / "old.gallery";
};

TEST_F(GalleryMigration, EverythingIsStillThere) {
    {
        auto store = open_store(path_, OpenMode::Existing);
        ASSERT_TRUE(store.ok()) << store.error().message;
        const auto snapshot = (*store)->load();
        ASSERT_TRUE(snapshot.ok()) << snapshot.error().message;
        EXPECT_EQ(snapshot->stamp, test_stamp());
        EXPECT_EQ(snapshot->version, 42);
        ASSERT_EQ(snapshot->faces.size(), 2u);
        EXPECT_EQ(snapshot->faces[0].face_id, 11);
        EXPECT_EQ(snapshot->faces[0].label, "Ana");
        EXPECT_EQ(snapshot->faces[1].embedding, (std::vector<float>{0, 1, 0, 0}));
        EXPECT_TRUE(snapshot->thresholds.empty());
        const auto people = (*store)->list_people();
        ASSERT_TRUE(people.ok());
        EXPECT_EQ((*people)[0].attributes, "{}");
        EXPECT_FALSE((*people)[0].threshold);
    }
    const std::string bytes = read_bytes(path_);
    EXPECT_EQ(bytes.substr(60, 4), std::string("\0\0\0\2", 4)); // user_version
}

TEST_F(GalleryMigration, TheNewThingsWorkOnIt) {
    auto admin = open_people_admin(path_);
    ASSERT_TRUE(admin.ok()) << admin.error().message;
    const auto numbers =
        (*admin)->apply({SetPerson{"ana", std::nullopt, 0.25F, "{\"team\": 3}"},
                         AddNegative{test_stamp(), "bo", "twin.jpg", {0, 0, 1, 0}}});
    ASSERT_TRUE(numbers.ok()) << numbers.error().message;
    auto store = open_store(path_, OpenMode::Existing);
    const auto snapshot = (*store)->load();
    EXPECT_EQ(snapshot->thresholds, (std::map<std::string, float>{{"ana", 0.25F}}));
    ASSERT_EQ(snapshot->negatives.size(), 1u);
    // A new person's number is above those of before: the audit table goes by numbers.
    ASSERT_TRUE((*store)->enrol(test_stamp(), {test_face("cy", {0, 0, 0, 1})}).ok());
    ASSERT_TRUE((*store)->remove_person("cy").ok());
    EXPECT_EQ((*admin)->notes(1)->audit.front().subject, "person 10");
}

TEST_F(GalleryMigration, AReaderWithoutWritePermissionIsTold) {
    chmod(path_.c_str(), 0444);
    const int code = in_unprivileged_child([&] {
        const auto store = open_store(path_, OpenMode::Existing);
        if (store || store.error().code != Errc::Permission)
            return 1;
        return store.error().message.find("format version 1") == std::string::npos ? 2 : 0;
    });
    EXPECT_EQ(code, 0);
    EXPECT_EQ(read_bytes(path_).substr(60, 4), std::string("\0\0\0\1", 4));
}

TEST_F(GalleryMigration, ManyAtOnceMigrateOnce) {
    constexpr int kProcesses = 8;
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            auto store = open_store(path_, OpenMode::Existing);
            _exit(store && (*store)->load() && (*store)->load()->faces.size() == 2 ? 0 : 1);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
}

} // namespace
} // namespace sphere::testing
