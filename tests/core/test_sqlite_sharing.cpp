// SPDX-License-Identifier: MIT
// The gallery file between users and processes: permissions, locks, kills, full disks, erasure.
#include "core/base/log.h"
#include "core/gallery/store.h"
#include "tests/support/gallery_testing.h"

#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

namespace sphere::testing {
namespace {

class SqliteSharing : public ::testing::Test {
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
    TempDir dir_;
    std::string path_ = dir_ / "faces.gallery";
};

TEST_F(SqliteSharing, ReadersOfReadOnlyFilesWritersAreRefused) {
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

TEST_F(SqliteSharing, AnUnreadableFileIsPermission) {
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

/// A child that may only read, opens the gallery when it is first asked, and says what it
/// reads. To be made while this process has no gallery open: SQLite's record of locks must not
/// be forked.
class Reader {
  public:
    explicit Reader(const std::string &path) {
        if (pipe(ask_) != 0 || pipe(answer_) != 0)
            std::abort();
        child_ = fork();
        if (child_ == 0)
            serve(path);
    }
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;
    ~Reader() {
        close(ask_[1]);
        close(ask_[0]);
        int status = 0;
        kill(child_, SIGKILL);
        waitpid(child_, &status, 0);
        close(answer_[0]);
        close(answer_[1]);
    }
    struct Seen {
        std::int64_t version = 0;
        std::int64_t faces = 0; ///< -1: an error
    };
    Seen ask() {
        Seen seen;
        if (write(ask_[1], "?", 1) != 1 || read(answer_[0], &seen, sizeof seen) != sizeof seen)
            return {-1, -1};
        return seen;
    }

  private:
    [[noreturn]] void serve(const std::string &path) {
        close(answer_[0]); // a parent that has gone ends the child
        close(ask_[1]);
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        std::unique_ptr<Store> store;
        char byte = 0;
        while (read(ask_[0], &byte, 1) == 1) {
            if (!store) {
                auto opened = open_store(path, OpenMode::Existing);
                if (!opened) {
                    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
                    break;
                }
                store = std::move(*opened);
            }
            const auto version = store->version();
            const auto snapshot = store->load();
            Seen seen{-1, -1};
            if (version && snapshot && *version == snapshot->version)
                seen = {*version, static_cast<std::int64_t>(snapshot->faces.size())};
            if (write(answer_[1], &seen, sizeof seen) != sizeof seen)
                break;
        }
        _exit(1);
    }
    int ask_[2]{};
    int answer_[2]{};
    pid_t child_ = -1;
};

/// It follows whether a writer has the file open (and its log) or not.
TEST_F(SqliteSharing, AReaderWithoutWritePermissionSeesChanges) {
    make();
    chmod(path_.c_str(), 0644);
    Reader early(path_);
    Reader late(path_);
    auto writer = open_store(path_, OpenMode::Existing);
    ASSERT_TRUE(writer.ok());
    const auto enrol = [&](const char *name) {
        ASSERT_TRUE((*writer)->enrol(test_stamp(), {test_face(name, {1, 0, 0, 0})}).ok());
    };
    enrol("beside a writer");
    EXPECT_EQ(early.ask().faces, 3);
    enrol("still open");
    EXPECT_EQ(early.ask().faces, 4);
    (*writer).reset();
    const auto before = early.ask();
    EXPECT_EQ(before.faces, 4);
    EXPECT_EQ(late.ask().faces, 4);
    for (std::int64_t faces = 5; faces < 8; ++faces) {
        writer = open_store(path_, OpenMode::Existing);
        ASSERT_TRUE(writer.ok());
        enrol("again");
        EXPECT_EQ(early.ask().faces, faces);
        EXPECT_EQ(late.ask().faces, faces);
        (*writer).reset();
        EXPECT_EQ(early.ask().faces, faces);
        EXPECT_EQ(late.ask().faces, faces);
    }
    EXPECT_GT(late.ask().version, before.version);
}

TEST_F(SqliteSharing, FollowsAFileThatTakesItsPlace) {
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

TEST_F(SqliteSharing, ALockedOneIsBusyAfterAWhile) {
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

TEST_F(SqliteSharing, TwoProcessesWriteAndRead) {
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
TEST_F(SqliteSharing, AKilledWriterLosesNothingThatItSaidWasWritten) {
    std::set<std::int64_t> acknowledged;
    std::mt19937 random(4);
    unsigned patience = 1; // grows on a machine that has written nothing by then
    for (int round = 0; round < 100; ++round) {
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
        std::thread killer([&, wait_ms = patience * (10 + random() % 50)] {
            std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
            kill(child, SIGKILL);
        });
        const std::size_t before = acknowledged.size();
        std::int64_t id = 0;
        while (read(ends[0], &id, sizeof id) == sizeof id)
            acknowledged.insert(id);
        killer.join();
        close(ends[0]);
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status));
        if (acknowledged.size() == before && patience < 64)
            patience *= 2;
        if (acknowledged.empty())
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

TEST_F(SqliteSharing, AFullDiskIsNoSpaceAndChangesNothing) {
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

TEST_F(SqliteSharing, ASmallDiskThatFillsUpKeepsWhatWasAcknowledged) {
    const std::string disk = dir_ / "disk";
    std::filesystem::create_directory(disk);
    if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=4m") != 0)
        GTEST_SKIP() << "a small disk of memory cannot be mounted: " << std::strerror(errno);
    const std::string path = disk + "/faces.gallery";
    std::size_t acknowledged = 0;
    {
        auto store = open_store(path, OpenMode::CreateIfMissing);
        ASSERT_TRUE(store.ok()) << store.error().message;
        Result<std::vector<std::int64_t>> ids = std::vector<std::int64_t>();
        while (ids && acknowledged < 4000) {
            ids = (*store)->enrol(
                test_stamp(512),
                std::vector<Enrolment>(20, test_face("a", std::vector<float>(512, 1))));
            acknowledged += ids ? ids->size() : 0;
        }
        ASSERT_FALSE(ids.ok());
        EXPECT_EQ(ids.error().code, Errc::NoSpace) << ids.error().message;
        EXPECT_GT(acknowledged, 100u);
        EXPECT_EQ((*store)->load()->faces.size(), acknowledged);
    }
    {
        auto store = open_store(path, OpenMode::Existing);
        ASSERT_TRUE(store.ok()) << store.error().message;
        EXPECT_EQ((*store)->load()->faces.size(), acknowledged);
    }
    EXPECT_EQ(umount(disk.c_str()), 0);
}

TEST_F(SqliteSharing, RemovedPeopleLeaveNoBytes) {
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

TEST_F(SqliteSharing, AReaderInTheWayOfErasureIsSaidSo) {
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
