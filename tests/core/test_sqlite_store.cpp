// SPDX-License-Identifier: MIT
// The gallery file: who may open it, what is refused and why, what survives.
#include "core/base/log.h"
#include "core/gallery/store.h"
#include "tests/support/gallery_testing.h"

#include <csignal>
#include <cstring>
#include <set>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

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
    for (const char *location : {"postgresql://host/db", "postgres://host/db"}) {
        const auto postgres = open_store(location, OpenMode::Existing);
        EXPECT_EQ(postgres.error().code, Errc::Unsupported);
        EXPECT_NE(postgres.error().message.find("built without postgres"), std::string::npos);
    }
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
        EXPECT_NE(error.message.find("up to 1"), std::string::npos) << error.message;
        EXPECT_TRUE(read_bytes(path_) == before) << path_ << " was changed";
    }
    sql(path_, "PRAGMA user_version = 0");
    EXPECT_EQ(refusal().code, Errc::Corrupt);
}

TEST_F(SqliteStoreTest, TheFileSaysWhatItIs) {
    make();
    const std::string bytes = read_bytes(path_);
    EXPECT_EQ(bytes.substr(68, 4), "SPHR"); // application_id, SQLite file format 1.3
    EXPECT_EQ(bytes.substr(60, 4), std::string("\0\0\0\1", 4));
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

TEST_F(SqliteStoreTest, ReadersOfReadOnlyFilesWritersAreRefused) {
    make();
    chmod(path_.c_str(), 0444);
    const auto read_and_try_to_write = [&] {
        auto store = open_store(path_, OpenMode::Existing);
        if (!store)
            return 10 + static_cast<int>(store.error().code);
        const auto snapshot = (*store)->load();
        if (!snapshot || snapshot->faces.size() != 2 || !(*store)->version())
            return 2;
        const auto ids = (*store)->enrol(test_stamp(), {test_face("c", {1, 0, 0, 0})});
        if (ids || ids.error().code != Errc::Permission)
            return 3;
        const auto removed = (*store)->remove_person("ana");
        return removed || removed.error().code != Errc::Permission ? 4 : 0;
    };
    EXPECT_EQ(in_unprivileged_child(read_and_try_to_write), 0);
    EXPECT_FALSE(std::filesystem::exists(path_ + "-wal"));
    // A file that one may write in a directory that one may not.
    chmod(path_.c_str(), 0666);
    chmod(dir_.path().c_str(), 0555);
    EXPECT_EQ(in_unprivileged_child(read_and_try_to_write), 0);
    chmod(dir_.path().c_str(), 0755);
    EXPECT_EQ(open_store(path_, OpenMode::Existing).value()->load()->faces.size(), 2u);
}

TEST_F(SqliteStoreTest, AnUnreadableFileIsPermission) {
    make();
    chmod(path_.c_str(), 0);
    const auto code_is_permission = [&](OpenMode mode) {
        return in_unprivileged_child([&] {
            const auto store = open_store(path_, mode);
            return !store && store.error().code == Errc::Permission ? 0 : 1;
        });
    };
    EXPECT_EQ(code_is_permission(OpenMode::Existing), 0);
    EXPECT_EQ(code_is_permission(OpenMode::CreateIfMissing), 0);
    chmod(dir_.path().c_str(), 0555);
    path_ = dir_ / "new.gallery";
    EXPECT_EQ(code_is_permission(OpenMode::CreateIfMissing), 0);
    chmod(dir_.path().c_str(), 0755);
}

TEST_F(SqliteStoreTest, AReaderWithoutWritePermissionSeesChanges) {
    make();
    chmod(path_.c_str(), 0444);
    int to_child[2];
    int to_parent[2];
    ASSERT_EQ(pipe(to_child), 0);
    ASSERT_EQ(pipe(to_parent), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        auto store = open_store(path_, OpenMode::Existing);
        if (!store)
            _exit(1);
        const auto before = (*store)->version();
        char byte = 0;
        if (write(to_parent[1], "r", 1) != 1 || read(to_child[0], &byte, 1) != 1)
            _exit(2);
        const auto after = (*store)->version();
        const auto snapshot = (*store)->load();
        _exit(before && after && *before != *after && snapshot && snapshot->faces.size() == 3
                  ? 0
                  : 3);
    }
    char byte = 0;
    ASSERT_EQ(read(to_parent[0], &byte, 1), 1);
    chmod(path_.c_str(), 0644);
    {
        auto store = open_store(path_, OpenMode::Existing);
        ASSERT_TRUE(store.ok());
        ASSERT_TRUE((*store)->enrol(test_stamp(), {test_face("c", {1, 0, 0, 0})}).ok());
    }
    ASSERT_EQ(write(to_child[1], "g", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    for (const int fd : {to_child[0], to_child[1], to_parent[0], to_parent[1]})
        close(fd);
}

TEST_F(SqliteStoreTest, FollowsAFileThatTakesItsPlace) {
    make();
    auto store = open_store(path_, OpenMode::Existing);
    ASSERT_TRUE(store.ok());
    const std::int64_t before = *(*store)->version();
    const std::string first = path_;
    path_ = dir_ / "other.gallery";
    make();
    std::filesystem::rename(path_, first);
    // As many changes as the first has seen, and yet another version.
    ASSERT_TRUE((*store)->version().ok());
    EXPECT_NE(*(*store)->version(), before);
    std::filesystem::remove(first);
    const auto gone = (*store)->load();
    ASSERT_FALSE(gone.ok());
    EXPECT_EQ(gone.error().code, Errc::NotFound);
    EXPECT_FALSE(std::filesystem::exists(first));
    path_ = first;
    make();
    EXPECT_TRUE((*store)->load().ok());
}

TEST_F(SqliteStoreTest, ALockedOneIsBusyAfterAWhile) {
    make();
    auto store = open_store(path_, OpenMode::Existing);
    ASSERT_TRUE(store.ok());
    sqlite3 *other = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    EXPECT_TRUE((*store)->load().ok()); // readers do not wait for a writer
    const auto start = std::chrono::steady_clock::now();
    const auto ids = (*store)->enrol(test_stamp(), {test_face("c", {1, 0, 0, 0})});
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
    ASSERT_FALSE(ids.ok());
    EXPECT_EQ(ids.error().code, Errc::Busy);
    EXPECT_GT(waited.count(), 4.5);
    sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
    sqlite3_close(other);
    EXPECT_TRUE((*store)->enrol(test_stamp(), {test_face("c", {1, 0, 0, 0})}).ok());
}

TEST_F(SqliteStoreTest, TwoProcessesWriteAndRead) {
    constexpr int kProcesses = 3;
    constexpr int kEach = 15;
    std::vector<pid_t> children;
    for (int p = 0; p < kProcesses; ++p) {
        children.push_back(fork());
        if (children.back() != 0)
            continue;
        // All make the same file at once.
        auto store = open_store(path_, OpenMode::CreateIfMissing);
        if (!store) {
            std::fprintf(stderr, "%s\n", store.error().message.c_str());
            _exit(1);
        }
        std::int64_t version = *(*store)->version();
        for (int i = 0; i < kEach; ++i) {
            const auto ids = (*store)->enrol(
                test_stamp(), {test_face("p" + std::to_string(p), {1, 0, 0, 0})});
            const auto snapshot = (*store)->load();
            if (!ids || !snapshot || snapshot->version <= version) {
                std::fprintf(stderr, "%s\n", ids ? "" : ids.error().message.c_str());
                _exit(2);
            }
            version = snapshot->version;
        }
        _exit(0);
    }
    for (const pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    auto store = open_store(path_, OpenMode::Existing);
    ASSERT_TRUE(store.ok());
    EXPECT_EQ((*store)->load()->faces.size(), static_cast<std::size_t>(kProcesses * kEach));
    const auto people = (*store)->list_people();
    ASSERT_TRUE(people.ok());
    for (const Person &person : *people)
        EXPECT_EQ(person.faces, kEach);
}

/// What was acknowledged is there after a kill at any moment, and the file opens.
TEST_F(SqliteStoreTest, AKilledWriterLosesNothingThatItSaidWasWritten) {
    std::set<std::int64_t> acknowledged;
    std::mt19937 random(4);
    for (int round = 0; round < 10; ++round) {
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            auto store = open_store(path_, OpenMode::CreateIfMissing);
            for (;;) {
                if (!store)
                    _exit(1);
                const auto ids = (*store)->enrol(test_stamp(512),
                                                 {test_face("a", std::vector<float>(512, 1))});
                if (!ids || write(ends[1], &ids->front(), sizeof(std::int64_t)) < 0)
                    _exit(1);
            }
        }
        close(ends[1]);
        std::thread killer([&, wait_ms = 20 + random() % 80] {
            std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
            kill(child, SIGKILL);
        });
        std::int64_t id = 0;
        while (read(ends[0], &id, sizeof id) == sizeof id)
            acknowledged.insert(id);
        killer.join();
        close(ends[0]);
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status));
        if (round == 0 && acknowledged.empty())
            continue; // killed before there was a gallery
        auto store = open_store(path_, OpenMode::Existing);
        ASSERT_TRUE(store.ok()) << store.error().message;
        const auto snapshot = (*store)->load();
        ASSERT_TRUE(snapshot.ok()) << snapshot.error().message;
        std::set<std::int64_t> there;
        for (const EnrolledFace &face : snapshot->faces)
            there.insert(face.face_id);
        for (const std::int64_t wanted : acknowledged)
            ASSERT_TRUE(there.contains(wanted)) << wanted;
        ASSERT_LE(there.size(), acknowledged.size() + static_cast<std::size_t>(round) + 1);
    }
    EXPECT_GT(acknowledged.size(), 10u);
}

TEST_F(SqliteStoreTest, AFullDiskIsNoSpaceAndChangesNothing) {
    make(512);
    const auto fill = [&] {
        signal(SIGXFSZ, SIG_IGN);
        auto store = open_store(path_, OpenMode::Existing);
        if (!store)
            return 1;
        const std::int64_t version = *(*store)->version();
        const rlimit limit{300000, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &limit);
        const std::vector<Enrolment> many(400, test_face("c", std::vector<float>(512, 1)));
        const auto ids = (*store)->enrol(test_stamp(512), many);
        if (ids)
            return 2;
        if (ids.error().code != Errc::NoSpace) {
            std::fprintf(stderr, "%s\n", ids.error().message.c_str());
            return 3;
        }
        const auto snapshot = (*store)->load();
        return snapshot && snapshot->faces.size() == 2 && snapshot->version == version ? 0 : 4;
    };
    EXPECT_EQ(in_child(fill), 0);
    auto store = open_store(path_, OpenMode::Existing);
    ASSERT_TRUE(store.ok());
    EXPECT_EQ((*store)->load()->faces.size(), 2u);
    EXPECT_TRUE(
        (*store)->enrol(test_stamp(512), {test_face("c", std::vector<float>(512, 1))}).ok());
}

TEST_F(SqliteStoreTest, RemovedPeopleLeaveNoBytes) {
    auto store = open_store(path_, OpenMode::CreateIfMissing);
    ASSERT_TRUE(store.ok());
    std::mt19937 random(8);
    constexpr int kDims = 512;
    std::map<std::string, std::string>
        traces; // a person and the first bytes of a face of theirs
    const auto add = [&](const std::string &name) {
        Enrolment face = test_face(name, random_values(random, kDims));
        face.thumbnail_jpeg.resize(3000);
        for (std::uint8_t &byte : face.thumbnail_jpeg)
            byte = static_cast<std::uint8_t>(random());
        traces[name + "/embedding"] =
            std::string(reinterpret_cast<const char *>(face.embedding.data()), 24);
        traces[name + "/thumbnail"] =
            std::string(reinterpret_cast<const char *>(face.thumbnail_jpeg.data()), 24);
        traces[name + "/name"] = name;
        ASSERT_TRUE((*store)->enrol(test_stamp(kDims), {face}).ok());
    };
    // Enough for pages to be split and joined.
    std::vector<std::string> people;
    for (int i = 0; i < 120; ++i) {
        people.push_back("person-" + std::to_string(random()) + "-of-interest");
        add(people.back());
    }
    std::shuffle(people.begin(), people.end(), random);
    for (std::size_t i = 0; i < 60; ++i) {
        ASSERT_TRUE((*store)->remove_person(people[i]).ok());
        const std::string bytes = read_bytes(path_) + read_bytes(path_ + "-wal");
        for (const auto &[what, trace] : traces) {
            const std::string owner = what.substr(0, what.find('/'));
            const auto place = std::find(people.begin(), people.end(), owner) - people.begin();
            const bool removed = place <= static_cast<std::ptrdiff_t>(i);
            ASSERT_EQ(bytes.find(trace) != std::string::npos, !removed) << what << " " << i;
        }
    }
}

TEST_F(SqliteStoreTest, AReaderInTheWayOfErasureIsSaidSo) {
    make();
    std::string warning;
    set_log_sink([&](LogLevel level, std::string_view message) {
        if (level == LogLevel::Warning)
            warning = message;
    });
    sqlite3 *reader = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &reader), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(reader, "BEGIN; SELECT * FROM people", nullptr, nullptr, nullptr),
              SQLITE_OK);
    auto store = open_store(path_, OpenMode::Existing);
    ASSERT_TRUE(store.ok());
    EXPECT_TRUE((*store)->remove_person("ana").ok());
    EXPECT_NE(warning.find("-wal"), std::string::npos) << warning;
    sqlite3_close(reader);
    set_log_sink({});
    EXPECT_EQ((*store)->load()->faces.size(), 1u);
}

} // namespace
} // namespace sphere::testing
