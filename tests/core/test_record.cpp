// SPDX-License-Identifier: MIT
// Records read back by a parser that is not ours, and their exact text.
#include "core/publish/record.h"

#include "core/base/utf8.h"
#include "tests/support/record_testing.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

namespace sphere {
namespace {

using Json = nlohmann::json;

using testing_support::full_record;

TEST(Record, ExactText) {
    EXPECT_EQ(
        to_json_line(full_record(), true),
        R"({"schema":"sphere.frame/1","stream":"cam1","pts":18446744073709551614,)"
        R"("stream_time":40000000,"time":"2024-05-01T12:00:00.040Z",)"
        R"("frame":{"width":1920,"height":1080},"faces":[{"track":42,)"
        R"("box":[10.5,-3,100.1,120],"score":0.9,)"
        R"("landmarks":[[1,2],[3.25,4],[5,6],[7,8],[9,10]],)"
        R"("quality":{"score":0.8,"sharpness":0.7,"brightness":0.6,"yaw":-5,"pitch":2.5,"roll":0.1,)"
        R"("eye_distance_px":41},"state":"known","reason":null,)"
        R"("match":{"id":"ana","label":"Ana B.","distance":0.05,"similarity":0.95,)"
        R"("metric":"cosine","threshold":0.3,"margin":0.2},)"
        R"("candidates":[{"id":"ana","label":"Ana B.","distance":0.05,"similarity":0.95},)"
        R"({"id":"bo","label":"Bo","distance":0.25,"similarity":0.75}],)"
        R"("embedding":{"model":"m","dims":3,"data":[0.1,-2,1e-20],)"
        R"("stamp":"m|s|p|t|none|3"}}]})");
}

TEST(Record, AFrameWithoutAnything) {
    EXPECT_EQ(to_json_line(FrameRecord{}, true),
              R"({"schema":"sphere.frame/1","stream":"","pts":null,"stream_time":null,)"
              R"("time":null,"frame":{"width":0,"height":0},"faces":[]})");
}

TEST(Record, AFaceWithoutAnything) {
    FrameRecord record;
    record.faces.emplace_back();
    EXPECT_EQ(
        Json::parse(to_json_line(record, false))["faces"].dump(),
        R"([{"box":[0,0,0,0],"candidates":[],"landmarks":null,"match":null,"quality":null,)"
        R"("reason":null,"score":0,"state":null,"track":null}])");
    EXPECT_TRUE(Json::parse(to_json_line(record, true))["faces"][0]["embedding"].is_null());
}

TEST(Record, EmbeddingsOnlyWhenAskedFor) {
    EXPECT_FALSE(
        Json::parse(to_json_line(full_record(), false))["faces"][0].contains("embedding"));
    const Json face = Json::parse(to_json_line(full_record(), true))["faces"][0];
    EXPECT_EQ(face["embedding"]["dims"], 3);
    FrameRecord no_stamp = full_record();
    no_stamp.faces[0].embedding->stamp.reset();
    EXPECT_TRUE(
        Json::parse(to_json_line(no_stamp, true))["faces"][0]["embedding"]["model"].is_null());
}

TEST(Record, MonochromeIsSaidOfThoseFacesAlone) {
    FrameRecord record = full_record();
    EXPECT_FALSE(Json::parse(to_json_line(record, false))["faces"][0].contains("monochrome"));
    record.faces[0].embedding->monochrome = true;
    EXPECT_EQ(Json::parse(to_json_line(record, false))["faces"][0]["monochrome"], true);
}

TEST(Record, MatchOnlyForKnownFacesCandidatesForAll) {
    const std::pair<FaceState, const char *> states[] = {{FaceState::Unknown, "unknown"},
                                                         {FaceState::Ambiguous, "ambiguous"},
                                                         {FaceState::Unusable, "unusable"}};
    for (const auto &[state, name] : states) {
        FrameRecord record = full_record();
        record.faces[0].match->state = state;
        const Json face = Json::parse(to_json_line(record, false))["faces"][0];
        EXPECT_EQ(face["state"], name);
        EXPECT_TRUE(face["match"].is_null());
        EXPECT_EQ(face["candidates"].size(), 2u);
    }
    FrameRecord alone = full_record();
    alone.faces[0].match->margin.reset();
    EXPECT_TRUE(
        Json::parse(to_json_line(alone, false))["faces"][0]["match"]["margin"].is_null());
}

TEST(Record, TheLaterStagesReasonWins) {
    FrameRecord record = full_record();
    Face &face = record.faces[0];
    face.reason = FaceReason::LowQuality;
    EXPECT_EQ(Json::parse(to_json_line(record, false))["faces"][0]["reason"], "low-quality");
    face.match->state = FaceState::Unknown;
    face.match->reason = FaceReason::BelowThreshold;
    EXPECT_EQ(Json::parse(to_json_line(record, false))["faces"][0]["reason"],
              "below-threshold");
    face.match.reset();
    EXPECT_EQ(Json::parse(to_json_line(record, false))["faces"][0]["reason"], "low-quality");
}

TEST(Record, NumbersThatAreNotFiniteAreNull) {
    FrameRecord record = full_record();
    Face &face = record.faces[0];
    const float nan = std::nanf("");
    face.box.x = nan;
    face.score = std::numeric_limits<float>::infinity();
    (*face.landmarks)[2].y = -std::numeric_limits<float>::infinity();
    face.quality->yaw_deg = nan;
    face.match->margin = nan;
    face.match->candidates[0].distance = nan;
    face.embedding->values[1] = nan;
    const Json parsed = Json::parse(to_json_line(record, true))["faces"][0];
    EXPECT_TRUE(parsed["box"][0].is_null());
    EXPECT_TRUE(parsed["score"].is_null());
    EXPECT_TRUE(parsed["landmarks"][2][1].is_null());
    EXPECT_TRUE(parsed["quality"]["yaw"].is_null());
    EXPECT_TRUE(parsed["match"]["margin"].is_null());
    EXPECT_TRUE(parsed["match"]["distance"].is_null());
    EXPECT_TRUE(parsed["candidates"][0]["distance"].is_null());
    EXPECT_TRUE(parsed["embedding"]["data"][1].is_null());
    EXPECT_EQ(parsed["embedding"]["data"].size(), 3u);
}

TEST(Record, FloatsReadBackAsTheSameFloats) {
    std::mt19937 random(1);
    FrameRecord record = full_record();
    auto &values = record.faces[0].embedding->values;
    values = {0.0F,
              std::numeric_limits<float>::denorm_min(),
              std::numeric_limits<float>::max(),
              std::numeric_limits<float>::lowest(),
              std::numeric_limits<float>::min(),
              16777217.0F,
              1.0F / 3};
    while (values.size() < 20000) {
        const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        if (std::isfinite(value))
            values.push_back(value);
    }
    const std::string line = to_json_line(record, true);
    const Json data = Json::parse(line)["faces"][0]["embedding"]["data"];
    ASSERT_EQ(data.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(std::bit_cast<std::uint32_t>(data[i].get<float>()),
                  std::bit_cast<std::uint32_t>(values[i]))
            << i;
}

std::string label_of(const std::string &label) {
    FrameRecord record = full_record();
    record.stream = label;
    record.time_utc = label;
    record.faces[0].match->candidates[0].label = label;
    record.faces[0].match->candidates[0].id = label;
    const std::string line = to_json_line(record, false);
    EXPECT_TRUE(is_valid_utf8(line));
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const Json parsed = Json::parse(line); // throws where it is not JSON
    EXPECT_EQ(parsed["stream"], parsed["faces"][0]["match"]["label"]);
    EXPECT_EQ(parsed["time"], parsed["faces"][0]["candidates"][0]["id"]);
    return parsed["stream"];
}

TEST(Record, HostileLabels) {
    for (const std::string &same :
         {std::string("plain"), std::string("\"},{\"x\":\"\\"),
          std::string("a\nb\r\tc\b\f\x1b\x7f"), std::string("nul\0inside", 10),
          std::string("\u2028\u2029 Ада 王 🙂 \U0010FFFF"),
          std::string("</script>&amp;'")})
        EXPECT_EQ(label_of(same), same);
    const std::pair<std::string, std::string> replaced[] = {
        {"\xFF", "\uFFFD"},
        {"a\x80z", "a\uFFFDz"},
        {"\xC0\xAF", "\uFFFD\uFFFD"},                     // an overlong slash
        {"\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD"},           // overlong
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},           // a surrogate
        {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"}, // above U+10FFFF
        {"\xF0\x9F\x99", "\uFFFD"},                       // a character that is cut off
        {"\xF0\x9F\x99!", "\uFFFD!"},
        {"\xE2\x82\"", "\uFFFD\""}, // the quote is not swallowed
        {"\xC3\n", "\uFFFD\n"},
    };
    for (const auto &[raw, expected] : replaced)
        EXPECT_EQ(label_of(raw), expected);
    std::mt19937 random(2);
    for (int round = 0; round < 2000; ++round) {
        std::string label(random() % 12, '\0');
        for (char &c : label)
            c = static_cast<char>(random());
        const std::string read = label_of(label);
        if (is_valid_utf8(label)) {
            EXPECT_EQ(read, label);
        }
    }
}

TEST(Record, AppendsBehindWhatIsThere) {
    std::string out = "before";
    append_json_line(out, full_record(), false);
    append_json_line(out, full_record(), false);
    const std::string line = to_json_line(full_record(), false);
    EXPECT_EQ(out, "before" + line + line);
}

TEST(Utf8, StepsOverTextOfAllLengths) {
    EXPECT_TRUE(is_valid_utf8(""));
    EXPECT_EQ(utf8_step("").bytes, 0u);
    for (const char *good : {"a", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000",
                             "\uffff", "\U00010000", "\U0010ffff"}) {
        EXPECT_TRUE(is_valid_utf8(good)) << good;
        EXPECT_EQ(utf8_step(good).bytes, std::string(good).size());
    }
    EXPECT_EQ(utf8_step("\xF0\x9F\x99").bytes, 3u);
    EXPECT_EQ(utf8_step("\xF0\x80").bytes, 1u);
}

} // namespace
} // namespace sphere
