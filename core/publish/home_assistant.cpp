// SPDX-License-Identifier: MIT
#include "core/publish/home_assistant.h"

#include "core/publish/json_writer.h"

#include <algorithm>
#include <string_view>

namespace sphere {
namespace {

/// An id of letters, digits, '_' and '-', as Home Assistant wants it in topics.
std::string id_of(std::string_view text) {
    std::string id = "sphere_";
    for (const char c : text)
        id += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-'
                  ? c
                  : '_';
    return id;
}

struct Entity {
    const char *component; ///< "sensor"
    const char *object;    ///< the last part of its id
    const char *name;
    const char *icon;
    const char *value_template; ///< of a record
    const char *device_class = nullptr;
};

constexpr Entity kFaceEvent = {
    "event", "face", "Face", "mdi:face-recognition",
    "{{ {'event_type': value_json.event, 'id': value_json.id, 'label': "
    "value_json.label, 'track': value_json.track, 'state': "
    "value_json.state, 'distance': value_json.distance} | tojson }}"};
constexpr Entity kLastPerson = {"sensor", "person", "Last person", "mdi:account",
                                "{{ value_json.label }}"};
constexpr Entity kFaceCount = {"sensor", "faces", "Faces", "mdi:face-recognition",
                               "{{ value_json.faces | count }}"};
constexpr Entity kKnownByEvents = {
    "binary_sensor",
    "known",
    "Known person in view",
    "mdi:account-check",
    "{{ 'ON' if value_json.known_in_view | default(0) > 0 else 'OFF' }}",
    "occupancy"};
constexpr Entity kKnownByFrames = {"binary_sensor",
                                   "known",
                                   "Known person in view",
                                   "mdi:account-check",
                                   "{{ 'ON' if value_json.faces | selectattr('state', 'eq', "
                                   "'known') | list | count > 0 else 'OFF' }}",
                                   "occupancy"};

DiscoveryMessage announce(const Entity &entity, const std::string &topic,
                          const PublishOptions &options) {
    const std::string device = id_of(topic);
    DiscoveryMessage message;
    message.topic = options.discovery_prefix + "/" + entity.component + "/" + device + "/" +
                    entity.object + "/config";
    JsonWriter json(message.payload);
    json.begin_object();
    json.key("name").string(entity.name);
    json.key("unique_id").string(device + "_" + entity.object);
    json.key("state_topic").string(topic);
    json.key("value_template").string(entity.value_template);
    json.key("availability_topic").string(topic + "/status");
    json.key("icon").string(entity.icon);
    if (entity.device_class != nullptr)
        json.key("device_class").string(entity.device_class);
    if (std::string_view(entity.component) == "event") {
        json.key("event_types").begin_array();
        for (const char *type : {"appeared", "identified", "renamed", "left"})
            json.string(type);
        json.end_array();
    }
    json.key("device").begin_object();
    json.key("identifiers").begin_array();
    json.string(device);
    json.end_array();
    json.key("name").string(options.stream.empty() ? topic : options.stream);
    json.key("manufacturer").string("gst-sphere");
    json.key("model").string("spherepublish");
    json.key("sw_version").string(SPHERE_VERSION);
    json.end_object();
    json.end_object();
    return message;
}

} // namespace

std::vector<DiscoveryMessage> home_assistant_discovery(const std::string &topic,
                                                       const PublishOptions &options) {
    if (!options.home_assistant)
        return {};
    if (!options.events)
        return {announce(kFaceCount, topic, options), announce(kKnownByFrames, topic, options)};
    return {announce(kFaceEvent, topic, options), announce(kLastPerson, topic, options),
            announce(kKnownByEvents, topic, options)};
}

} // namespace sphere
