// SPDX-License-Identifier: MIT
// The gallery file: what it is called, what is refused and why.
#include "core/gallery/store.h"
#include "tests/support/gallery_testing.h"

#include <cstring>
#include <set>
#include <sqlite3.h>
#include <sys/stat.h>

namespace sphere::testing {
namespace {

/// SQL on a gallery behind the store's back.
void sql(const std::string &path, const std::string &text) {
    sqlite3 *db = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    char *message = nullptr;
    sqlite3_busy_timeout(db, 5000);
    EXPECT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << (message ? message : "");
    sqlite3_free(message);
    sqlite3_close(db);
}

unsigned mode_of(const std::string &path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

class SqliteStoreTest : public ::testing::Test {
  protected:
    /// A gallery of two people at path_, closed again.
    void make(int dims = 4) {
        auto store = open_store(path_, OpenMode::CreateIfMissing);
        ASSERT_TRUE(store.ok()) << store.error().message;
        std::vector<float> values(static_cast<std::size_t>(dims), 0.5F);
        const auto ids = (*store)->enrol(test_stamp(dims),
                                         {test_face("ana", values), test_face("bo", values)});
        ASSERT_TRUE(ids.ok()) << ids.error().message;
    }
    Error refusal(OpenMode mode = OpenMode::Existing) {
        auto store = open_store(path_, mode);
        if (store) {
            ADD_FAILURE() << "was opened";
            return {};
        }
        EXPECT_NE(store.error().message.find(path_), std::string::npos)
            << store.error().message;
        return store.error();
    }
    /// Opening or loading must say Corrupt and name the path.
    void expect_corrupt(const std::string &part = "") {
        auto store = open_store(path_, OpenMode::Existing);
        const Error error = !store ? store.error() : [&] {
            const auto snapshot = (*store)->load();
            return snapshot ? Error{Errc::Internal, "loaded"} : snapshot.error();
        }();
        EXPECT_EQ(error.code, Errc::Corrupt) << error.message;
        EXPECT_NE(error.message.find(path_), std::string::npos) << error.message;
        EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
    }

    TempDir dir_;
    std::string path_ = dir_ / "faces.gallery";
};

TEST_F(SqliteStoreTest, AMissingOneSaysHowToEnrol) {
    const Error error = refusal();
    EXPECT_EQ(error.code, Errc::NotFound);
    EXPECT_NE(error.message.find("spherectl enrol --gallery " + path_), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(path_));
    path_ = dir_ / "no/such/faces.gallery";
    EXPECT_EQ(refusal().code, Errc::NotFound);
    const Error no_directory = refusal(OpenMode::CreateIfMissing);
    EXPECT_EQ(no_directory.code, Errc::NotFound);
    EXPECT_NE(no_directory.message.find("mkdir -p"), std::string::npos);
}

TEST_F(SqliteStoreTest, ADirectorySaysHowToEnrolIt) {
    path_ = dir_.path();
    for (const OpenMode mode : {OpenMode::Existing, OpenMode::CreateIfMissing}) {
        const Error error = refusal(mode);
        EXPECT_EQ(error.code, Errc::NotFound);
        EXPECT_NE(error.message.find("spherectl enrol --gallery"), std::string::npos);
        EXPECT_NE(error.message.find("is a directory"), std::string::npos);
    }
}

TEST_F(SqliteStoreTest, Locations) {
    make();
    EXPECT_TRUE(open_store("sqlite:" + path_, OpenMode::Existing).ok());
    for (const char *location : {"", "sqlite:"})
        EXPECT_EQ(open_store(location, OpenMode::CreateIfMissing).error().code,
                  Errc::InvalidArgument);
    EXPECT_EQ(open_store(std::string("a\0b", 3), OpenMode::CreateIfMissing).error().code,
              Errc::InvalidArgument);
}

TEST_F(SqliteStoreTest, NamesThatSqliteTreatsSpeciallyAreFiles) {
    EXPECT_EQ(
        in_child([&] {
            if (chdir(dir_.path().c_str()) != 0)
                return 1;
            for (const char *name :
                 {":memory:", "file:x?mode=memory", "a b%20?#&'\".gallery"}) {
                auto store = open_store(name, OpenMode::CreateIfMissing);
                if (!store || !(*store)->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0})}))
                    return 2;
                // The working directory may change under an open store.
                if (chdir("/") != 0 || !(*store)->load() || chdir(dir_.path().c_str()) != 0)
                    return 3;
                if (mode_of(name) != 0600)
                    return 4;
            }
            return 0;
        }),
        0);
}

TEST_F(SqliteStoreTest, FilesArePrivateWhateverTheUmask) {
    for (const mode_t mask : {0, 022, 0277}) {
        const mode_t old_mask = umask(mask);
        path_ = dir_ / ("g" + std::to_string(mask));
        auto store = open_store(path_, OpenMode::CreateIfMissing);
        ASSERT_TRUE(store.ok()) << store.error().message;
        ASSERT_TRUE((*store)->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0})}).ok());
        umask(old_mask);
        EXPECT_EQ(mode_of(path_), 0600u);
        EXPECT_EQ(mode_of(path_ + "-wal"), 0600u);
        EXPECT_EQ(mode_of(path_ + "-shm"), 0600u);
    }
}

TEST_F(SqliteStoreTest, AnEmptyFileIsNoGalleryUntilEnrolled) {
    write_bytes(path_, "");
    const Error error = refusal();
    EXPECT_EQ(error.code, Errc::NotFound);
    EXPECT_NE(error.message.find("spherectl enrol"), std::string::npos);
    make();
    EXPECT_TRUE(open_store(path_, OpenMode::Existing).ok());
}

TEST_F(SqliteStoreTest, OtherFilesAreRefusedAndLeftAlone) {
    for (const std::string &bytes :
         {std::string("x"), std::string("{\"json\": true}"), std::string(5000, '\0'),
          std::string("SQLite format 3\0", 16), std::string(100, 'S')}) {
        write_bytes(path_, bytes);
        SCOPED_TRACE(bytes.substr(0, 16));
        for (const OpenMode mode : {OpenMode::Existing, OpenMode::CreateIfMissing}) {
            EXPECT_EQ(refusal(mode).code, Errc::Corrupt);
            EXPECT_TRUE(read_bytes(path_) == bytes) << path_ << " was changed";
        }
    }
    std::filesystem::remove(path_);
    sql(path_, "CREATE TABLE addresses (name)");
    const std::string before = read_bytes(path_);
    for (const OpenMode mode : {OpenMode::Existing, OpenMode::CreateIfMissing}) {
        const Error error = refusal(mode);
        EXPECT_EQ(error.code, Errc::Corrupt);
        EXPECT_NE(error.message.find("not a gallery"), std::string::npos);
        EXPECT_TRUE(read_bytes(path_) == before) << path_ << " was changed";
    }
    path_ = dir_ / "fifo";
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    EXPECT_EQ(refusal().code, Errc::Corrupt); // and does not hang
    path_ = "/dev/null";
    EXPECT_EQ(refusal().code, Errc::Corrupt);
}

TEST_F(SqliteStoreTest, ANewerFormatIsRefusedNamingBothAndLeftAlone) {
    make();
    sql(path_, "PRAGMA user_version = 7; PRAGMA wal_checkpoint(TRUNCATE)");
    const std::string before = read_bytes(path_);
    for (const OpenMode mode : {OpenMode::Existing, OpenMode::CreateIfMissing}) {
        const Error error = refusal(mode);
        EXPECT_EQ(error.code, Errc::Unsupported);
        EXPECT_NE(error.message.find("version 7"), std::string::npos) << error.message;
        EXPECT_NE(error.message.find("up to 2"), std::string::npos) << error.message;
        EXPECT_TRUE(read_bytes(path_) == before) << path_ << " was changed";
    }
    sql(path_, "PRAGMA user_version = 0");
    EXPECT_EQ(refusal().code, Errc::Corrupt);
}

TEST_F(SqliteStoreTest, TheFileSaysWhatItIs) {
    make();
    const std::string bytes = read_bytes(path_);
    EXPECT_EQ(bytes.substr(68, 4), "SPHR"); // application_id, SQLite file format 1.3
    EXPECT_EQ(bytes.substr(60, 4), std::string("\0\0\0\2", 4));
    EXPECT_EQ(bytes.substr(18, 2), "\2\2"); // write-ahead log
}

TEST_F(SqliteStoreTest, MissingTablesAndColumnsAreDamage) {
    for (const char *change :
         {"DROP TABLE embeddings", "DROP TABLE gallery", "DELETE FROM gallery",
          "ALTER TABLE people RENAME COLUMN label TO name",
          // Neither views nor triggers of a stranger's run.
          "ALTER TABLE people RENAME TO p; CREATE VIEW people AS SELECT * FROM p"}) {
        std::filesystem::remove(path_);
        make();
        sql(path_, change);
        EXPECT_EQ(refusal().code, Errc::Corrupt) << change;
    }
}

TEST_F(SqliteStoreTest, ATriggerDoesNotRun) {
    make();
    sql(path_, "CREATE TABLE loot (v); CREATE TRIGGER t AFTER INSERT ON embeddings "
               "BEGIN INSERT INTO loot VALUES (new.vector); END");
    {
        auto store = open_store(path_, OpenMode::Existing);
        ASSERT_TRUE(store.ok());
        ASSERT_TRUE((*store)->enrol(test_stamp(), {test_face("c", {1, 0, 0, 0})}).ok());
    }
    sqlite3 *db = nullptr;
    sqlite3_stmt *statement = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    sqlite3_prepare_v2(db, "SELECT count(*) FROM loot", -1, &statement, nullptr);
    ASSERT_EQ(sqlite3_step(statement), SQLITE_ROW);
    EXPECT_EQ(sqlite3_column_int(statement, 0), 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

TEST_F(SqliteStoreTest, DamagedRowsAreNamed) {
    const std::pair<const char *, const char *> changes[] = {
        {"UPDATE embeddings SET vector = x'0000C07F00000000000000000000C07F' WHERE face = 2",
         "face 2"}, // NaN
        {"UPDATE embeddings SET vector = x'0000807F000000000000000000000000' WHERE face = 2",
         "face 2"}, // infinity
        {"UPDATE embeddings SET vector = x'00' WHERE face = 2", "face 2"},
        {"UPDATE embeddings SET vector = zeroblob(20) WHERE face = 1", "face 1"},
        {"UPDATE embeddings SET vector = zeroblob(0) WHERE face = 1", "face 1"},
        {"PRAGMA foreign_keys=OFF; UPDATE faces SET person = 99 WHERE face = 2", "face 2"},
        {"PRAGMA foreign_keys=OFF; DELETE FROM faces WHERE face = 1", "face 1"},
        {"PRAGMA ignore_check_constraints=ON; UPDATE stamps SET dims = 1000000000",
         "1000000000"},
        {"PRAGMA ignore_check_constraints=ON; UPDATE stamps SET dims = -4", "-4"},
        {"UPDATE people SET label = hex(zeroblob(4000)) WHERE id = 'bo'", "face 2"},
        {"UPDATE people SET id = '' WHERE id = 'bo'", "face 2"},
    };
    for (const auto &[change, part] : changes) {
        SCOPED_TRACE(change);
        std::filesystem::remove(path_);
        make();
        sql(path_, change);
        expect_corrupt(part);
    }
}

TEST_F(SqliteStoreTest, ACutFileIsDamage) {
    make(512);
    const std::string whole = read_bytes(path_);
    ASSERT_GT(whole.size(), 32768u);
    std::set<Errc> seen;
    for (std::size_t keep :
         {std::size_t{50}, std::size_t{100}, std::size_t{5000}, std::size_t{16384},
          std::size_t{32768}, whole.size() - 16384, whole.size() - 1}) {
        write_bytes(path_, whole.substr(0, keep));
        SCOPED_TRACE(keep);
        expect_corrupt();
    }
}

TEST_F(SqliteStoreTest, FlippedBytesNeverCrashAndNeverPassAsOtherSizes) {
    make(64);
    const std::string whole = read_bytes(path_);
    std::mt19937 random(9);
    for (int round = 0; round < 300; ++round) {
        std::string bytes = whole;
        for (int i = 0; i < 20; ++i)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        write_bytes(path_, bytes);
        auto store = open_store(path_, OpenMode::Existing);
        if (!store) {
            EXPECT_FALSE(store.error().message.empty());
            continue;
        }
        const auto snapshot = (*store)->load();
        if (!snapshot)
            continue;
        for (const EnrolledFace &face : snapshot->faces) {
            EXPECT_EQ(face.embedding.size(), static_cast<std::size_t>(snapshot->stamp->dims));
            for (const float value : face.embedding)
                EXPECT_TRUE(std::isfinite(value));
        }
    }
}

} // namespace
} // namespace sphere::testing
