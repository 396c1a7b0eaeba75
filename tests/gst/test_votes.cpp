// SPDX-License-Identifier: MIT
// Who a track is (votes) and what the application is told (presence).
#include "gst/elements/presence.h"
#include "gst/elements/track_votes.h"

#include <gtest/gtest.h>

namespace sphere::gst {
namespace {

Embedding embedding(float value) {
    static const auto stamp = std::make_shared<const EmbeddingStamp>();
    return {stamp, {value, 1}};
}

MatchResult known(const std::string &id) {
    MatchResult match;
    match.state = FaceState::Known;
    match.candidates = {{id, id, 0.3F, 0.7F}};
    return match;
}

MatchResult unknown() {
    MatchResult match;
    match.state = FaceState::Unknown;
    match.reason = FaceReason::BelowThreshold;
    return match;
}

std::string name_of(const TrackVotes &votes) {
    const MatchResult *decision = votes.decision();
    if (decision == nullptr)
        return "none";
    return decision->best() != nullptr ? decision->best()->id : "unknown";
}

TEST(TrackVotes, TheFirstVoteDecides) {
    TrackVotes votes;
    EXPECT_EQ(name_of(votes), "none");
    votes.add(embedding(1), known("ada"), 0.3F, 0);
    EXPECT_EQ(name_of(votes), "ada");
    EXPECT_TRUE(votes.has(embedding(1)));
    EXPECT_FALSE(votes.has(embedding(2)));
}

TEST(TrackVotes, ANameDoesNotFlicker) {
    TrackVotes votes;
    votes.add(embedding(1), known("ada"), 0.6F, 0);
    votes.add(embedding(2), known("bob"), 0.6F, 10);
    EXPECT_EQ(name_of(votes), "ada");
    votes.add(embedding(3), unknown(), 0.7F, 20);
    EXPECT_EQ(name_of(votes), "ada");
}

TEST(TrackVotes, BetterEvidenceRenames) {
    TrackVotes votes;
    votes.add(embedding(1), known("bob"), 0.2F, 0); // a poor picture
    votes.add(embedding(2), known("ada"), 0.8F, 10);
    EXPECT_EQ(name_of(votes), "ada");
}

TEST(TrackVotes, AnUnknownFaceIsNamedWhenTheBetterPictureSaysSo) {
    TrackVotes votes;
    votes.add(embedding(1), unknown(), 0.3F, 0);
    EXPECT_EQ(name_of(votes), "unknown");
    votes.add(embedding(2), known("ada"), 0.5F, 10);
    EXPECT_EQ(name_of(votes), "ada");
}

TEST(TrackVotes, OnePoorPictureNamesNobody) {
    TrackVotes votes;
    votes.add(embedding(1), unknown(), 0.6F, 0);
    votes.add(embedding(2), unknown(), 0.6F, 10);
    votes.add(embedding(3), known("ada"), 0.4F, 20);
    EXPECT_EQ(name_of(votes), "unknown");
}

TEST(TrackVotes, ANameGoesWithItsEvidence) {
    TrackVotes votes;
    votes.add(embedding(1), known("ada"), 0.5F, 0);
    for (int i = 2; i < 6; ++i)
        votes.add(embedding(static_cast<float>(i)), unknown(), 0.5F, 10 * i);
    EXPECT_EQ(name_of(votes), "unknown");
}

TEST(TrackVotes, TheWindowForgetsButForTheNewest) {
    TrackVotes votes;
    votes.add(embedding(1), known("ada"), 0.9F, 0);
    votes.add(embedding(2), known("bob"), 0.5F, 50);
    EXPECT_EQ(name_of(votes), "ada");
    votes.expire(149, 150);
    EXPECT_EQ(name_of(votes), "ada");
    votes.expire(151, 150);
    EXPECT_EQ(name_of(votes), "bob");
    votes.expire(10000, 150);
    EXPECT_EQ(name_of(votes), "bob");
}

TEST(TrackVotes, HoldsABoundedNumber) {
    TrackVotes votes;
    votes.add(embedding(-1), known("ada"), 1, 0);
    for (int i = 0; i < 1000; ++i)
        votes.add(embedding(static_cast<float>(i)), known("bob"), 0.3F, i);
    EXPECT_FALSE(votes.has(embedding(-1)));
    EXPECT_EQ(name_of(votes), "bob");
}

TrackSighting sighting(std::int64_t track, const std::string &id, bool carried = false) {
    return {track, id, id, 0.3, id.empty() ? "unknown" : "known", carried};
}

std::string told(std::vector<PresenceEvent> &events) {
    std::string text;
    for (const PresenceEvent &event : events)
        text +=
            std::string(event.event) + ":" + std::to_string(event.track) + ":" + event.id + " ";
    events.clear();
    return text;
}

TEST(Presence, EventsOfATrack) {
    Presence presence;
    std::vector<PresenceEvent> events;
    presence.see_track(sighting(7, ""), 0, events);
    EXPECT_EQ(told(events), "appeared:7: ");
    presence.see_track(sighting(7, "ada"), 40, events);
    EXPECT_EQ(told(events), "identified:7:ada ");
    presence.see_track(sighting(7, "ada"), 80, events);
    EXPECT_EQ(told(events), "");
    presence.see_track(sighting(7, "bob"), 120, events);
    EXPECT_EQ(told(events), "renamed:7:bob ");
    presence.see_track(sighting(7, ""), 160, events);
    EXPECT_EQ(told(events), "renamed:7: ");
    // Carried over frames does not count as seen.
    presence.see_track(sighting(7, "bob", true), 900, events);
    EXPECT_EQ(told(events), "renamed:7:bob ");
    presence.expire(600, 500, events);
    EXPECT_EQ(told(events), "");
    presence.expire(700, 500, events);
    EXPECT_EQ(told(events), "left:7:bob ");
    presence.expire(7000, 500, events);
    EXPECT_EQ(told(events), "");
}

TEST(Presence, TracksAndPeopleAreApart) {
    Presence presence;
    std::vector<PresenceEvent> events;
    presence.see_track(sighting(1, "ada"), 0, events);
    presence.see({"", "ada", "Ada", 0.2}, 0, events);
    EXPECT_EQ(told(events),
              "appeared:1:ada identified:1:ada appeared:-1:ada identified:-1:ada ");
    presence.clear(events);
    EXPECT_EQ(told(events), "left:-1:ada left:1:ada ");
    presence.see_track(sighting(2, "ada"), 0, events);
    events.clear();
    presence.reset();
    presence.clear(events);
    EXPECT_EQ(told(events), "");
}

std::vector<std::size_t> in_view(std::vector<PresenceEvent> &events) {
    std::vector<std::size_t> counts;
    for (const PresenceEvent &event : events)
        counts.push_back(event.known_in_view);
    events.clear();
    return counts;
}

TEST(Presence, EachEventSaysHowManyKnownPeopleAreThereAfterIt) {
    using Counts = std::vector<std::size_t>;
    Presence presence;
    std::vector<PresenceEvent> events;
    presence.see_track(sighting(1, ""), 0, events);
    EXPECT_EQ(in_view(events), (Counts{0}));
    presence.see_track(sighting(1, "ada"), 0, events);
    presence.see_track(sighting(2, "ada"), 0, events); // the same person twice
    EXPECT_EQ(in_view(events), (Counts{1, 1, 1}));
    presence.see({"", "bob", "Bob", 0.2}, 0, events);
    EXPECT_EQ(in_view(events), (Counts{2, 2}));
    TrackSighting stranger = sighting(3, "unknown-7");
    stranger.state = "unknown"; // has an id, and nobody knows him
    presence.see_track(stranger, 0, events);
    EXPECT_EQ(in_view(events), (Counts{2, 2}));
    presence.see_track(sighting(2, ""), 0, events);
    presence.see_track(sighting(1, "bob"), 0, events);
    EXPECT_EQ(in_view(events), (Counts{2, 1}));
    presence.see_track(sighting(3, "eve"), 1000, events);
    EXPECT_EQ(in_view(events), (Counts{2}));
    presence.expire(1000, 500, events); // bob, 1, 2
    EXPECT_EQ(in_view(events), (Counts{2, 1, 1}));
    presence.clear(events);
    EXPECT_EQ(in_view(events), (Counts{0}));
}

} // namespace
} // namespace sphere::gst
