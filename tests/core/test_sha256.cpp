// SPDX-License-Identifier: MIT
// SHA-256 against published vectors, in pieces of any size, and of files.
#include "core/base/sha256.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace sphere {
namespace {

std::span<const std::uint8_t> bytes_of(const std::string &text) {
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

std::string hash(const std::string &text) {
    Sha256 sha;
    sha.update(bytes_of(text));
    return sha.finish_hex();
}

// The examples that NIST publishes with FIPS 180-4, the empty message among them.
TEST(Sha256, PublishedVectors) {
    EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hash("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                   "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
              "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    EXPECT_EQ(hash(std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Lengths around the padding's two cases; the hashes are coreutils' sha256sum.
TEST(Sha256, LengthsAroundABlock) {
    EXPECT_EQ(hash(std::string(55, 'a')),
              "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    EXPECT_EQ(hash(std::string(56, 'a')),
              "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    EXPECT_EQ(hash(std::string(63, 'a')),
              "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34");
    EXPECT_EQ(hash(std::string(64, 'a')),
              "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
    EXPECT_EQ(hash(std::string(65, 'a')),
              "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0");
}

TEST(Sha256, PiecesOfAnySizeGiveTheSame) {
    std::string text;
    for (int i = 0; i < 1000; ++i)
        text += static_cast<char>(i * 37);
    const std::string whole = hash(text);
    for (const std::size_t piece : {1U, 3U, 55U, 63U, 64U, 65U, 127U, 128U, 999U}) {
        Sha256 sha;
        for (std::size_t at = 0; at < text.size(); at += piece) {
            sha.update(bytes_of(text).subspan(at, std::min(piece, text.size() - at)));
            sha.update({});
        }
        EXPECT_EQ(sha.finish_hex(), whole) << piece;
    }
}

class Sha256File : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "sphere-sha-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string write(const std::string &name, const std::string &content) {
        std::ofstream(folder_ / name, std::ios::binary) << content;
        return folder_ / name;
    }
    std::filesystem::path folder_;
};

TEST_F(Sha256File, IsTheHashOfItsBytes) {
    const std::string large((std::size_t{2} << 20) + 17, 'x'); // more than two buffers
    for (const std::string &content : {std::string(), std::string("abc"), large}) {
        const auto result = sha256_of_file(write("file", content));
        ASSERT_TRUE(result.ok()) << result.error().message;
        EXPECT_EQ(*result, hash(content));
    }
}

TEST_F(Sha256File, ErrorsNameThePath) {
    const std::string absent = folder_ / "absent";
    const auto not_found = sha256_of_file(absent);
    ASSERT_FALSE(not_found.ok());
    EXPECT_EQ(not_found.error().code, Errc::NotFound);
    EXPECT_NE(not_found.error().message.find(absent), std::string::npos);

    const auto is_folder = sha256_of_file(folder_);
    ASSERT_FALSE(is_folder.ok());
    EXPECT_EQ(is_folder.error().code, Errc::Io);
    EXPECT_NE(is_folder.error().message.find(folder_), std::string::npos);

    const std::string secret = write("secret", "x");
    ::chmod(secret.c_str(), 0);
    if (::access(secret.c_str(), R_OK) == 0)
        return; // root reads everything
    const auto denied = sha256_of_file(secret);
    ASSERT_FALSE(denied.ok());
    EXPECT_EQ(denied.error().code, Errc::Permission);
}

} // namespace
} // namespace sphere
