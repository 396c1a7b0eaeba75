// SPDX-License-Identifier: MIT
#include "pipelines/camera/config_reader.h"

#include <utility>

namespace sphere::camera {
namespace {

constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxProperties = 64;

} // namespace

ConfigReader::ConfigReader(const nlohmann::json &object, std::string file, std::string place)
    : object_(object), file_(std::move(file)), place_(std::move(place)) {}

const nlohmann::json *ConfigReader::find(const char *key) {
    read_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
}

void ConfigReader::fault(const std::string &key, const std::string &message, Errc code) {
    if (!fault_)
        fault_ = fail(code, file_, ": ", place_, key, ": ", message);
}

void ConfigReader::text(const char *key, std::string &value) {
    const nlohmann::json *member = find(key);
    if (member == nullptr)
        return;
    const auto *text = member->get_ptr<const std::string *>();
    if (text == nullptr)
        return fault(key, "must be text in double quotes");
    if (text->size() > kMaxText || text->find('\0') != std::string::npos)
        return fault(key, "is longer than 4096 bytes or has a zero byte in it");
    value = *text;
}

void ConfigReader::flag(const char *key, bool &value) {
    const nlohmann::json *member = find(key);
    if (member == nullptr)
        return;
    if (!member->is_boolean())
        return fault(key, "must be true or false");
    value = member->get<bool>();
}

std::optional<std::uint64_t> ConfigReader::integer(const char *key, std::uint64_t least,
                                                   std::uint64_t most) {
    const nlohmann::json *member = find(key);
    if (member == nullptr)
        return std::nullopt;
    // is_number_unsigned(): a whole number that is not negative.
    if (member->is_number_unsigned())
        if (const auto number = member->get<std::uint64_t>(); number >= least && number <= most)
            return number;
    fault(key, "must be a whole number from " + std::to_string(least) + " to " +
                   std::to_string(most));
    return std::nullopt;
}

void ConfigReader::texts(const char *key, std::vector<std::string> &value, std::size_t most) {
    const nlohmann::json *member = array(key, most);
    if (member == nullptr)
        return;
    value.clear();
    for (const auto &element : *member) {
        const auto *text = element.get_ptr<const std::string *>();
        if (text == nullptr || text->size() > kMaxText)
            return fault(key, "must be a list of texts");
        value.push_back(*text);
    }
}

void ConfigReader::properties_of(const nlohmann::json &member, const std::string &key,
                                 std::map<std::string, std::string> &value) {
    if (!member.is_object() || member.size() > kMaxProperties)
        return fault(key, "must be an object of at most 64 properties");
    for (const auto &[name, entry] : member.items()) {
        std::string text;
        if (const auto *string = entry.get_ptr<const std::string *>())
            text = *string;
        else if (entry.is_number() || entry.is_boolean())
            text = entry.dump();
        else
            return fault(key + "." + name, "must be text, a number, true or false");
        if (text.size() > kMaxText || text.find('\0') != std::string::npos)
            return fault(key + "." + name,
                         "is longer than 4096 bytes or has a zero byte in it");
        value[name] = text;
    }
}

void ConfigReader::properties(const char *key, std::map<std::string, std::string> &value) {
    if (const nlohmann::json *member = find(key))
        properties_of(*member, key, value);
}

void ConfigReader::property_lists(const char *key,
                                  std::vector<std::map<std::string, std::string>> &value,
                                  std::size_t most) {
    const nlohmann::json *member = array(key, most);
    if (member == nullptr)
        return;
    for (std::size_t i = 0; i < member->size(); ++i)
        properties_of((*member)[i], std::string(key) + "[" + std::to_string(i) + "]",
                      value.emplace_back());
}

const nlohmann::json *ConfigReader::object(const char *key) {
    const nlohmann::json *member = find(key);
    if (member == nullptr || member->is_object())
        return member;
    fault(key, "must be an object in braces");
    return nullptr;
}

const nlohmann::json *ConfigReader::array(const char *key, std::size_t most) {
    const nlohmann::json *member = find(key);
    if (member == nullptr)
        return nullptr;
    if (member->is_array() && member->size() <= most)
        return member;
    fault(key, "must be a list of at most " + std::to_string(most) + " entries");
    return nullptr;
}

Result<void> ConfigReader::finish() {
    if (!fault_)
        for (const auto &[key, member] : object_.items())
            if (!read_.contains(key)) {
                std::string known;
                for (const std::string &name : read_)
                    known += (known.empty() ? "" : ", ") + name;
                fault(key, "there is no such key; known here: " + known);
                break;
            }
    if (fault_)
        return *fault_;
    return {};
}

} // namespace sphere::camera
