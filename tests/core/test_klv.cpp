// SPDX-License-Identifier: MIT
// Records as KLV: what was written comes back, long frames in several packets, and what is
// broken costs no more than it must.
#include "core/publish/klv.h"
#include "tests/support/record_testing.h"

#include <gtest/gtest.h>

namespace sphere {
namespace {

struct Read {
    std::vector<FrameRecord> records;
    std::vector<std::string> errors;
};

Read read_all(std::string_view bytes) {
    Read read;
    KlvReader reader(bytes);
    for (;;) {
        auto record = reader.next();
        if (!record)
            read.errors.push_back(record.error().message);
        else if (*record)
            read.records.push_back(std::move(**record));
        else
            return read;
    }
}

std::string packet_of(const std::string &key, const std::string &length,
                      const std::string &value) {
    return key + length + value;
}

std::string our_key() {
    return {kKlvKey.begin(), kKlvKey.end()};
}

FrameRecord crowd(std::size_t n) {
    FrameRecord record = testing_support::full_record();
    record.faces.resize(n, record.faces[0]);
    for (std::size_t i = 0; i < n; ++i)
        record.faces[i].track_id = static_cast<std::int64_t>(i);
    return record;
}

TEST(Klv, ARecordIsAKeyALengthAndItsJson) {
    const FrameRecord record = testing_support::full_record();
    const KlvPackets klv = to_klv(record, true);
    ASSERT_EQ(klv.packets.size(), 1U);
    const std::string json = to_json_line(record, true);
    const std::string &packet = klv.packets[0];
    ASSERT_EQ(packet.size(), 16 + 5 + json.size());
    EXPECT_EQ(packet.substr(0, 16),
              std::string("\x06\x0E\x2B\x34\x01\x01\x01\x01\x0Fsphere\x01"));
    EXPECT_EQ(packet.substr(16, 5),
              std::string({'\x84', 0, 0, static_cast<char>(json.size() >> 8),
                           static_cast<char>(json.size() & 0xFF)}));
    EXPECT_EQ(packet.substr(21), json);
    const Read read = read_all(packet);
    ASSERT_EQ(read.records.size(), 1U);
    EXPECT_EQ(to_json_line(read.records[0], true), json);
}

TEST(Klv, AFrameWithoutFacesIsToldOf) {
    FrameRecord record;
    const KlvPackets klv = to_klv(record, false);
    ASSERT_EQ(klv.packets.size(), 1U);
    EXPECT_EQ(read_all(klv.packets[0]).records.size(), 1U);
}

TEST(Klv, ALongRecordIsSeveralPacketsThatHoldAllFacesInOrder) {
    const FrameRecord record = crowd(100);
    const KlvPackets klv = to_klv(record, true, 4000);
    EXPECT_GT(klv.packets.size(), 10U);
    EXPECT_EQ(klv.reduced + klv.dropped, 0U);
    std::string all;
    for (const std::string &packet : klv.packets) {
        EXPECT_LE(packet.size(), 4000U);
        all += packet;
    }
    FrameRecord joined;
    for (FrameRecord &part : read_all(all).records) {
        EXPECT_EQ(part.pts_ns, record.pts_ns);
        EXPECT_EQ(part.width, record.width);
        joined.faces.insert(joined.faces.end(), part.faces.begin(), part.faces.end());
    }
    ASSERT_EQ(joined.faces.size(), 100U);
    for (std::size_t i = 0; i < 100; ++i)
        EXPECT_EQ(joined.faces[i].track_id, static_cast<std::int64_t>(i));
}

TEST(Klv, AFaceThatIsTooLongGoesWithoutItsEmbeddingOrNotAtAll) {
    FrameRecord record = crowd(3);
    record.faces[1].embedding->values.assign(3000, 0.12345678F);
    record.faces[2].match->candidates.assign(200, {"somebody", "Somebody", 0.1F, 0.9F});
    const KlvPackets klv = to_klv(record, true, 4000);
    EXPECT_EQ(klv.reduced, 2U);
    EXPECT_EQ(klv.dropped, 1U);
    std::vector<bool> embedded;
    for (const std::string &packet : klv.packets)
        for (const FrameRecord &part : read_all(packet).records)
            for (const Face &face : part.faces)
                embedded.push_back(face.embedding.has_value());
    EXPECT_EQ(embedded, (std::vector<bool>{true, false}));
    record.faces = {record.faces[2]};
    EXPECT_EQ(read_all(to_klv(record, true, 4000).packets.at(0)).records.size(), 1U)
        << "the frame is told of all the same";
}

TEST(Klv, LengthsOfEveryFormAreRead) {
    FrameRecord record;
    record.stream = "the door";
    const std::string json = to_json_line(record, false);
    ASSERT_LT(json.size(), 256U);
    ASSERT_GT(json.size(), 127U);
    const char low = static_cast<char>(json.size());
    for (const std::string &length : {std::string{'\x81', low}, std::string{'\x82', 0, low},
                                      std::string{'\x83', 0, 0, low}}) {
        const Read read = read_all(packet_of(our_key(), length, json));
        EXPECT_EQ(read.records.size(), 1U);
        EXPECT_TRUE(read.errors.empty());
    }
    const std::string brief = R"({"schema":"sphere.frame/1"})";
    EXPECT_EQ(
        read_all(packet_of(our_key(), {static_cast<char>(brief.size())}, brief)).records.size(),
        1U);
}

TEST(Klv, PacketsOfOthersArePassedOver) {
    std::string other = our_key();
    other[15] = 2; // another version of ours, too
    const std::string ours = to_klv(FrameRecord(), false).packets[0];
    const Read read =
        read_all(packet_of(other, {3}, "xyz") + ours + packet_of(other, {0}, "") + ours);
    EXPECT_EQ(read.records.size(), 2U);
    EXPECT_TRUE(read.errors.empty());
}

TEST(Klv, EveryTruncationIsAnErrorAndKeepsWhatWasWhole) {
    const std::string packet = to_klv(testing_support::full_record(), true).packets[0];
    for (std::size_t n = 1; n < packet.size(); ++n) {
        const Read read = read_all(packet + packet.substr(0, n));
        EXPECT_EQ(read.records.size(), 1U) << n;
        ASSERT_EQ(read.errors.size(), 1U) << n;
        EXPECT_NE(read.errors[0].find("KLV"), std::string::npos);
    }
}

TEST(Klv, ARecordThatIsNoneCostsItselfAlone) {
    const std::string ours = to_klv(FrameRecord(), false).packets[0];
    const Read read = read_all(packet_of(our_key(), {5}, "hello") + ours);
    EXPECT_EQ(read.errors.size(), 1U);
    EXPECT_EQ(read.records.size(), 1U);
}

TEST(Klv, WhatIsNoKlvIsAnErrorOnce) {
    const std::string ours = to_klv(FrameRecord(), false).packets[0];
    for (const std::string &bytes :
         {std::string(1000, 'x'), std::string("x"), packet_of(our_key(), {'\x80'}, "x"),
          packet_of(our_key(), {'\x85', 0, 0, 0, 0, 1}, "x"),
          packet_of(our_key(), {'\x84', '\xFF', '\xFF', '\xFF', '\xFF'}, "x")}) {
        const Read read = read_all(bytes + ours);
        EXPECT_EQ(read.errors.size(), 1U);
        EXPECT_TRUE(read.records.empty());
    }
    EXPECT_TRUE(read_all("").errors.empty());
}

} // namespace
} // namespace sphere
