// SPDX-License-Identifier: MIT
// Encrypted galleries: nothing readable on the disk, clear words about keys. In a build without
// SQLCipher: nothing is written in the clear that was to be encrypted.
#include "core/gallery/gallery_follower.h"
#include "core/gallery/gallery_key.h"
#include "core/gallery/people_admin.h"
#include "tests/support/gallery_testing.h"

#include <chrono>
#include <cstring>
#include <sys/stat.h>
#include <thread>

namespace sphere::testing {
namespace {

constexpr const char *kName = "Ada Unmistakable";
constexpr const char *kSecret = "a key that nobody guesses";
constexpr int kDims = 128;

std::vector<float> her_values() {
    std::mt19937 random(5);
    return random_values(random, kDims);
}

class GalleryKey : public ::testing::Test {
  protected:
    void SetUp() override { forget(); }
    void TearDown() override { forget(); }
    static void forget() {
        unsetenv(kGalleryKeyFileVariable);
        unsetenv(kGalleryKeyVariable);
    }
    void use_file(const std::string &contents, unsigned mode = 0600) const {
        const std::string path = keys_ / "key";
        write_bytes(path, contents);
        ASSERT_EQ(chmod(path.c_str(), mode), 0);
        setenv(kGalleryKeyFileVariable, path.c_str(), 1);
    }
    /// The gallery stays open: its write-ahead log is there, too.
    std::unique_ptr<Store> enrol() const {
        auto store = open_store(path_, OpenMode::CreateIfMissing);
        EXPECT_TRUE(store.ok()) << store.error().message;
        if (!store)
            return nullptr;
        Enrolment face = test_face(kName, her_values());
        face.thumbnail_jpeg.assign(3000, 0xA7);
        const auto ids = (*store)->enrol(test_stamp(kDims), {face});
        EXPECT_TRUE(ids.ok()) << ids.error().message;
        return std::move(*store);
    }
    /// In how many of the gallery's files `bytes` are.
    int files_with(const std::string &bytes) const {
        int found = 0;
        for (const auto &entry : std::filesystem::directory_iterator(dir_.path()))
            found += read_bytes(entry.path()).find(bytes) != std::string::npos ? 1 : 0;
        return found;
    }
    int traces() const {
        const auto values = her_values();
        std::string bytes(values.size() * sizeof(float), '\0');
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return files_with(kName) + files_with(bytes.substr(0, 64)) +
               files_with(std::string(64, '\xA7')) + files_with("SQLite format") +
               files_with("test-model");
    }
    TempDir dir_;
    TempDir keys_;
    std::string path_ = dir_ / "people.db";
};

TEST_F(GalleryKey, InTheClearTheTracesAreThere) {
    auto store = enrol();
    EXPECT_GE(traces(), 5);
    store.reset();
    EXPECT_GE(traces(), 5);
}

TEST_F(GalleryKey, KeysThatCannotBe) {
    use_file("key", 0644);
    EXPECT_EQ(gallery_key().error().code, Errc::Permission);
    EXPECT_NE(gallery_key().error().message.find("chmod 600"), std::string::npos);
    for (const std::string &contents :
         {std::string(), std::string("\n"), std::string(5000, 'k')}) {
        use_file(contents);
        EXPECT_EQ(gallery_key().error().code, Errc::InvalidArgument);
    }
    setenv(kGalleryKeyFileVariable, (keys_ / "nothing").c_str(), 1);
    EXPECT_EQ(gallery_key().error().code, Errc::NotFound);
    EXPECT_FALSE(open_store(path_, OpenMode::CreateIfMissing).ok());
    setenv(kGalleryKeyFileVariable, keys_.path().c_str(), 1);
    EXPECT_EQ(gallery_key().error().code, Errc::InvalidArgument);
    use_file(std::string(kSecret) + "\r\n");
    EXPECT_EQ(**gallery_key(), kSecret);
    forget();
    EXPECT_FALSE(gallery_key()->has_value());
}

#ifdef SPHERE_TEST_SQLCIPHER

TEST_F(GalleryKey, NothingIsReadableWithoutTheKey) {
    use_file(std::string(kSecret) + "\n");
    auto store = enrol();
    ASSERT_TRUE(store);
    EXPECT_EQ(traces(), 0);
    store.reset();
    EXPECT_EQ(traces(), 0);
    // The same key by the other way.
    forget();
    setenv(kGalleryKeyVariable, kSecret, 1);
    store = open_store(path_, OpenMode::Existing).value();
    const auto snapshot = store->load();
    ASSERT_TRUE(snapshot.ok()) << snapshot.error().message;
    ASSERT_EQ(snapshot->faces.size(), 1U);
    EXPECT_EQ(snapshot->faces[0].person_id, kName);
    EXPECT_EQ(snapshot->faces[0].embedding, her_values());
    ASSERT_TRUE(store->remove_person(kName).ok());
    EXPECT_TRUE(store->load()->faces.empty());
}

TEST_F(GalleryKey, AnotherKeyOrNoneIsSaid) {
    use_file(kSecret);
    ASSERT_TRUE(enrol());
    const std::string before = read_bytes(path_);
    use_file("another key");
    const auto wrong = open_store(path_, OpenMode::Existing);
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.error().code, Errc::Mismatch) << wrong.error().message;
    EXPECT_NE(wrong.error().message.find(kGalleryKeyFileVariable), std::string::npos);
    EXPECT_EQ(wrong.error().message.find("another key or"), std::string::npos);
    forget();
    const auto none = open_store(path_, OpenMode::Existing);
    ASSERT_FALSE(none.ok());
    EXPECT_NE(none.error().message.find(kGalleryKeyFileVariable), std::string::npos);
    EXPECT_EQ(read_bytes(path_), before);
}

TEST_F(GalleryKey, NoIndexFileLiesBesideIt) {
    use_file(kSecret);
    std::mt19937 random(7);
    std::vector<Enrolment> faces;
    for (int i = 0; i < 1100; ++i)
        faces.push_back(test_face("person " + std::to_string(i), random_values(random, kDims)));
    const auto store = enrol();
    ASSERT_TRUE(store->enrol(test_stamp(kDims), faces).ok());
    GalleryFollower::Settings settings;
    settings.location = path_;
    settings.resolve = [](const auto &) { return Result<MatchOptions>(MatchOptions{}); };
    settings.interval = std::chrono::milliseconds(10);
    const auto follower = GalleryFollower::open(std::move(settings));
    ASSERT_TRUE(follower.ok()) << follower.error().message;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    for (const auto &entry : std::filesystem::directory_iterator(dir_.path()))
        EXPECT_EQ(entry.path().filename().string().find("index"), std::string::npos);
    EXPECT_EQ(traces(), 0);
}

#else

TEST_F(GalleryKey, ABuildThatCannotEncryptRefuses) {
    setenv(kGalleryKeyVariable, kSecret, 1);
    const auto store = open_store(path_, OpenMode::CreateIfMissing);
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.error().code, Errc::Unsupported);
    EXPECT_NE(store.error().message.find("-Dsqlcipher=enabled"), std::string::npos);
    EXPECT_EQ(store.error().message.find(kSecret), std::string::npos);
    EXPECT_EQ(traces(), 0);
}

#endif

} // namespace
} // namespace sphere::testing
