// SPDX-License-Identifier: MIT
// JSON text appended to a string, without a tree in between. Internal to publish.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace sphere {

/// Sets commas by itself. The caller pairs begin and end and gives each member of an object a
/// key.
class JsonWriter {
  public:
    explicit JsonWriter(std::string &out) : out_(out) {}

    void begin_object() { open('{'); }
    void end_object() { close('}'); }
    void begin_array() { open('['); }
    void end_array() { close(']'); }
    /// `name` needs no escaping.
    JsonWriter &key(std::string_view name);

    void null();
    void boolean(bool value);
    /// Escaped; what is not UTF-8 becomes U+FFFD.
    void string(std::string_view text);
    /// The shortest text that reads back as the same float; null where it is not finite.
    void number(float value);
    void number(std::integral auto value) {
        separate();
        out_ += std::to_string(value);
    }

  private:
    void separate();
    void open(char bracket);
    void close(char bracket);

    std::string &out_;
    bool comma_ = false; ///< the next value is not the first of its object or array
};

} // namespace sphere
