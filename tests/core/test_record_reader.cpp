// SPDX-License-Identifier: MIT
// Records read back: what was written comes back, and what is none of ours is refused.
#include "core/publish/record_file.h"
#include "tests/support/record_testing.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <fstream>

namespace sphere {
namespace {

FrameRecord full_record(std::uint64_t pts_ns) {
    FrameRecord record = testing_support::full_record();
    record.pts_ns = pts_ns;
    record.stream_time_ns.reset();
    Face &face = record.faces[0];
    face.carried = true;
    face.embedding->monochrome = true;
    face.attributes = {{"age", "", 41.5F, {}, {}}, {"gender", "", 0, {"female"}, {0.75F}}};
    face.match->candidates[0].label = "Ana \"B.\"\n";
    Face plain;
    plain.box = {1, 2, 3, 4};
    plain.reason = FaceReason::TooSmall;
    Face stranger;
    stranger.match = MatchResult{
        FaceState::Unknown, FaceReason::BelowThreshold, {}, "", 0, std::nullopt, "unknown-7"};
    record.faces.insert(record.faces.end(), {plain, stranger});
    return record;
}

TEST(RecordReader, WhatWasWrittenComesBackToTheBit) {
    const std::string line = to_json_line(full_record(18446744073709551614ULL), true);
    const auto record = parse_record(line);
    ASSERT_TRUE(record.ok()) << record.error().message;
    EXPECT_EQ(to_json_line(*record, true), line);
    ASSERT_EQ(record->faces.size(), 3U);
    const Face &face = record->faces[0];
    const Face wanted = full_record(0).faces[0];
    EXPECT_EQ(face.embedding->values, wanted.embedding->values);
    EXPECT_EQ(*face.embedding->stamp, *wanted.embedding->stamp);
    EXPECT_EQ(face.match->candidates, wanted.match->candidates);
    EXPECT_TRUE(face.carried);
    EXPECT_EQ(record->faces[1].reason, FaceReason::TooSmall);
    EXPECT_EQ(record->faces[2].match->stranger, "unknown-7");
}

TEST(RecordReader, EveryStateAndReasonHasAWayBack) {
    for (int reason = 0; reason <= static_cast<int>(FaceReason::Ignored); ++reason)
        for (int state = 0; state <= static_cast<int>(FaceState::Unusable); ++state) {
            FrameRecord record;
            record.faces.emplace_back();
            if (state == 0)
                record.faces[0].reason = static_cast<FaceReason>(reason);
            else
                record.faces[0].match = MatchResult{static_cast<FaceState>(state),
                                                    static_cast<FaceReason>(reason),
                                                    {},
                                                    "",
                                                    0,
                                                    std::nullopt,
                                                    ""};
            const std::string line = to_json_line(record, false);
            const auto back = parse_record(line);
            ASSERT_TRUE(back.ok()) << line << back.error().message;
            EXPECT_EQ(to_json_line(*back, false), line);
        }
}

TEST(RecordReader, AnEmbeddingWithoutAStampIsLeftOut) {
    FrameRecord record = full_record(0);
    record.faces[0].embedding->stamp.reset();
    const auto back = parse_record(to_json_line(record, true));
    ASSERT_TRUE(back.ok());
    EXPECT_FALSE(back->faces[0].embedding.has_value());
}

TEST(RecordReader, RefusesWhatIsNoRecordAndSaysWhy) {
    const auto frame = [](const std::string &face) {
        return R"({"schema":"sphere.frame/1","pts":1,"faces":[)" + face + "]}";
    };
    const std::pair<std::string, std::string> cases[] = {
        {"", "object"},
        {"[]", "object"},
        {R"({"schema":"sphere.event/1"})", "schema"},
        {R"({"schema":"sphere.frame/1","pts":-1})", "pts"},
        {R"({"schema":"sphere.frame/1","pts":1.5})", "pts"},
        {R"({"schema":"sphere.frame/1","faces":{}})", "faces"},
        {R"({"schema":"sphere.frame/1","frame":{"width":1e9}})", "width"},
        {frame("{}"), "box"},
        {frame(R"({"box":[1,2,3]})"), "box"},
        {frame(R"({"box":[1,2,-3,4]})"), "box"},
        {frame(R"({"box":[1,2,1e30,4]})"), "box"},
        {frame(R"({"box":[1,2,"3",4]})"), "box"},
        {frame(R"({"box":[1,2,3,4],"score":2})"), "score"},
        {frame(R"({"box":[1,2,3,4],"track":-5})"), "track"},
        {frame(R"({"box":[1,2,3,4],"landmarks":[[1,2]]})"), "landmarks"},
        {frame(R"({"box":[1,2,3,4],"state":"odd"})"), "state"},
        {frame(R"({"box":[1,2,3,4],"attributes":{"a b":1}})"), "attributes"},
        {frame(R"({"box":[1,2,3,4],"embedding":{"stamp":"m|s|p|t|f|3","data":[1]}})"),
         "embedding"},
        {frame(R"({"box":[1,2,3,4],"state":"known","candidates":[{"id":")" +
               std::string(5000, 'x') + "\"}]}"),
         "id"},
    };
    for (const auto &[line, word] : cases) {
        const auto record = parse_record(line);
        ASSERT_FALSE(record.ok()) << line;
        EXPECT_EQ(record.error().code, Errc::Corrupt);
        EXPECT_NE(record.error().message.find(word), std::string::npos)
            << line << ": " << record.error().message;
    }
    EXPECT_FALSE(parse_record(std::string(200'000, '[')).ok());
    EXPECT_FALSE(parse_record(std::string(kMaxRecordBytes + 1, ' ')).ok());
}

class RecordFileTest : public testing::Test {
  protected:
    Result<RecordFile> open(const std::string &content) {
        std::ofstream(path_, std::ios::binary) << content;
        return RecordFile::open(path_);
    }
    std::string line(std::uint64_t pts_ns) { return to_json_line(full_record(pts_ns), false); }

    testing_support::TemporaryDirectory directory_;
    std::string path_ = directory_.path() + "/faces.jsonl";
};

std::uint64_t pts_at(RecordFile &file, std::uint64_t time_ns, std::uint64_t tolerance_ns) {
    auto record = file.find(time_ns, tolerance_ns);
    EXPECT_TRUE(record.ok());
    return record.ok() && *record ? *(*record)->pts_ns : 0;
}

TEST_F(RecordFileTest, FindsTheNearestWithinTheTolerance) {
    auto file = open(line(100) + "\n" + R"({"schema":"sphere.event/1","pts":150})" + "\n\n" +
                     line(300) + "\n" + line(200) + "\n");
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->size(), 3U);
    EXPECT_EQ(file->first_time_ns(), 100U);
    EXPECT_EQ(pts_at(*file, 100, 0), 100U);
    EXPECT_EQ(pts_at(*file, 149, 50), 100U);
    EXPECT_EQ(pts_at(*file, 151, 50), 200U);
    EXPECT_EQ(pts_at(*file, 0, 99), 0U);
    EXPECT_EQ(pts_at(*file, 0, 100), 100U);
    EXPECT_EQ(pts_at(*file, 350, 50), 300U);
    EXPECT_EQ(pts_at(*file, 351, 50), 0U);
    EXPECT_EQ(pts_at(*file, 100, 0), 100U) << "backwards";
}

TEST_F(RecordFileTest, ALastLineThatIsNotWholeIsLeftOut) {
    const std::string whole = line(100) + "\n", next = line(200);
    for (std::size_t n = 0; n < next.size(); n += 7) {
        auto file = open(whole + next.substr(0, n));
        ASSERT_TRUE(file.ok()) << file.error().message;
        EXPECT_EQ(file->size(), 1U) << n;
    }
    auto file = open(whole + next); // whole, though no newline ends it
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->size(), 2U);
    EXPECT_EQ(pts_at(*file, 200, 0), 200U);
}

TEST_F(RecordFileTest, SaysWhichLineIsNoRecord) {
    const auto file = open(line(100) + "\nhello\n" + line(200) + "\n");
    ASSERT_FALSE(file.ok());
    EXPECT_NE(file.error().message.find(path_ + ":2"), std::string::npos)
        << file.error().message;
    EXPECT_EQ(RecordFile::open(directory_.path() + "/absent").error().code, Errc::NotFound);
    EXPECT_EQ(RecordFile::open(directory_.path()).error().code, Errc::NotFound);
}

TEST_F(RecordFileTest, ARecordThatBreaksOffAfterItsTimeIsAnErrorOfThatRecordAlone) {
    auto file = open(line(100).substr(0, 150) + "\n" + line(200) + "\n");
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto broken = file->find(100, 10);
    ASSERT_FALSE(broken.ok());
    EXPECT_EQ(broken.error().code, Errc::Corrupt);
    EXPECT_EQ(pts_at(*file, 200, 10), 200U);
}

TEST_F(RecordFileTest, AnEmptyFileHasNoRecords) {
    auto file = open("");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->size(), 0U);
    EXPECT_EQ(pts_at(*file, 0, 1'000'000), 0U);
}

} // namespace
} // namespace sphere
