// SPDX-License-Identifier: MIT
// One object of a JSON file, read key by key; the first fault is kept. Internal.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sphere::camera {

class ConfigReader {
  public:
    /// `place` is "cameras[1]." or "". `object` must outlive the reader.
    ConfigReader(const nlohmann::json &object, std::string file, std::string place);

    /// Each leaves `value` as it is where the key is absent.
    void text(const char *key, std::string &value);
    void flag(const char *key, bool &value);
    template <typename T>
    void number(const char *key, T &value, std::uint64_t least, std::uint64_t most) {
        if (const auto read = integer(key, least, most))
            value = static_cast<T>(*read);
    }
    void texts(const char *key, std::vector<std::string> &value, std::size_t most);
    /// Text, numbers and booleans, all as text.
    void properties(const char *key, std::map<std::string, std::string> &value);
    void property_lists(const char *key, std::vector<std::map<std::string, std::string>> &value,
                        std::size_t most);
    /// The member, or null where it is absent.
    const nlohmann::json *object(const char *key);
    const nlohmann::json *array(const char *key, std::size_t most);

    /// Keeps the fault "FILE: PLACE KEY: MESSAGE" unless there is one already.
    void fault(const std::string &key, const std::string &message,
               Errc code = Errc::InvalidArgument);
    /// The first fault; a key that nobody read is one.
    Result<void> finish();

  private:
    const nlohmann::json *find(const char *key);
    std::optional<std::uint64_t> integer(const char *key, std::uint64_t least,
                                         std::uint64_t most);
    void properties_of(const nlohmann::json &member, const std::string &key,
                       std::map<std::string, std::string> &value);

    const nlohmann::json &object_;
    std::string file_, place_;
    std::set<std::string, std::less<>> read_;
    std::optional<Error> fault_;
};

} // namespace sphere::camera
