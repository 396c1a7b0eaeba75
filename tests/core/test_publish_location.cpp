// SPDX-License-Identifier: MIT
// Where records go, as users write it; and that no password comes out again.
#include "core/publish/location.h"

#include <gtest/gtest.h>

namespace sphere {
namespace {

TEST(PublishLocation, EachSchemeInItsParts) {
    auto location = *parse_location("faces.jsonl");
    EXPECT_EQ(location.scheme, PublishScheme::File);
    EXPECT_EQ(location.path, "faces.jsonl");
    EXPECT_EQ(parse_location("-")->scheme, PublishScheme::Stdout);
    location = *parse_location("unix:/run/faces.sock");
    EXPECT_EQ(location.scheme, PublishScheme::Unix);
    EXPECT_EQ(location.path, "/run/faces.sock");
    location = *parse_location("mqtt://broker/cameras/door");
    EXPECT_EQ(location.scheme, PublishScheme::Mqtt);
    EXPECT_FALSE(location.tls);
    EXPECT_EQ(location.host, "broker");
    EXPECT_EQ(location.port, 1883);
    EXPECT_EQ(location.topic, "cameras/door");
    location = *parse_location("mqtts://[::1]:1234/t");
    EXPECT_TRUE(location.tls);
    EXPECT_EQ(location.host, "::1");
    EXPECT_EQ(location.port, 1234);
    EXPECT_TRUE(location.is_loopback());
    EXPECT_EQ(parse_location("mqtts://b/t")->port, 8883);
    location = *parse_location("kafka://one:9092,two/faces");
    EXPECT_EQ(location.scheme, PublishScheme::Kafka);
    EXPECT_EQ(location.brokers, "one:9092,two");
    EXPECT_EQ(location.topic, "faces");
    location = *parse_location("https://host:8443/hook");
    EXPECT_EQ(location.scheme, PublishScheme::Webhook);
    EXPECT_EQ(location.url, "https://host:8443/hook");
    EXPECT_FALSE(location.is_loopback());
}

TEST(PublishLocation, WhatIsWrongIsSaid) {
    for (const char *text : {"",
                             "mqtt://",
                             "mqtt://host",
                             "mqtt://host/",
                             "mqtt:///topic",
                             "mqtt://host:0/t",
                             "mqtt://host:65536/t",
                             "mqtt://host:x/t",
                             "mqtt://a:1:2/t",
                             "mqtt://[::1/t",
                             "mqtt://host/a/#",
                             "mqtt://host/+/b",
                             "mqtt://ho st/t",
                             "kafka://host",
                             "kafka://,/t",
                             "kafka://host/a b",
                             "kafka://host/a/b",
                             "https://",
                             "https:///path",
                             "https://host/hook?key=value",
                             "https://host/hook#part",
                             "unix:",
                             "mqtt://h/t\n"}) {
        const auto location = parse_location(text);
        ASSERT_FALSE(location.ok()) << text;
        EXPECT_EQ(location.error().code, Errc::InvalidArgument) << text;
    }
    EXPECT_EQ(parse_location("amqp://host/queue").error().code, Errc::Unsupported);
    EXPECT_FALSE(parse_location("unix:" + std::string(108, 'a')).ok());
    EXPECT_FALSE(parse_location(std::string(5000, 'a')).ok());
    EXPECT_FALSE(parse_location(std::string("a\0b", 3)).ok());
}

TEST(PublishLocation, NoPasswordComesOutAgain) {
    for (const char *text :
         {"mqtt://me:hunter2@host/t", "mqtts://me:hunter2@host", "kafka://me:hunter2@h/t",
          "https://me:hunter2@host/hook", "https://host/hook?token=hunter2",
          "https://host/#hunter2", "mqtt://me:hun/ter2?hunter2@host/t", "http://me:hunter2@",
          "odd://me:hunter2@host", "mqtt://a@hunter2@host/t"}) {
        const auto location = parse_location(text);
        ASSERT_FALSE(location.ok()) << text;
        EXPECT_EQ(location.error().message.find("hunter2"), std::string::npos)
            << location.error().message;
        EXPECT_EQ(shown_publish_location(text).find("hunter2"), std::string::npos) << text;
    }
    EXPECT_NE(
        parse_location("mqtt://me:hunter2@host/t").error().message.find("credentials-file"),
        std::string::npos);
    EXPECT_EQ(shown_publish_location("mqtt://host/topic"), "mqtt://host/topic");
    EXPECT_EQ(shown_publish_location("mail@home?.jsonl"), "mail@home?.jsonl");
}

} // namespace
} // namespace sphere
