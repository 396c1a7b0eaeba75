// SPDX-License-Identifier: MIT
// JSON (RFC 8259) by hand.
#include "core/publish/json_writer.h"

#include "core/base/utf8.h"

#include <charconv>
#include <cmath>

namespace sphere {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD"; // U+FFFD

void append_escaped(std::string &out, char c) {
    static constexpr char kHex[] = "0123456789abcdef";
    switch (c) {
    case '"':
        out += "\\\"";
        return;
    case '\\':
        out += "\\\\";
        return;
    case '\n':
        out += "\\n";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\t':
        out += "\\t";
        return;
    default:
        break;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20) {
        out += c;
        return;
    }
    out += "\\u00";
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
}

} // namespace

void JsonWriter::separate() {
    if (comma_)
        out_ += ',';
    comma_ = true;
}

void JsonWriter::open(char bracket) {
    separate();
    out_ += bracket;
    comma_ = false;
}

void JsonWriter::close(char bracket) {
    out_ += bracket;
    comma_ = true;
}

JsonWriter &JsonWriter::key(std::string_view name) {
    separate();
    out_ += '"';
    out_ += name;
    out_ += "\":";
    comma_ = false;
    return *this;
}

void JsonWriter::null() {
    separate();
    out_ += "null";
}

void JsonWriter::boolean(bool value) {
    separate();
    out_ += value ? "true" : "false";
}

void JsonWriter::string(std::string_view text) {
    separate();
    out_ += '"';
    while (!text.empty()) {
        const Utf8Step step = utf8_step(text);
        if (!step.valid)
            out_ += kReplacement;
        else if (step.bytes == 1)
            append_escaped(out_, text[0]);
        else
            out_ += text.substr(0, step.bytes);
        text.remove_prefix(step.bytes);
    }
    out_ += '"';
}

void JsonWriter::number(float value) {
    if (!std::isfinite(value)) {
        null();
        return;
    }
    separate();
    char digits[32]; // the longest float is 15 characters
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    out_.append(digits, end.ptr);
}

} // namespace sphere
