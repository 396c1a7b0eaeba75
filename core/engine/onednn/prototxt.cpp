// SPDX-License-Identifier: MIT
// A reader of protobuf's text format.
#include "core/engine/onednn/prototxt.h"

#include <cctype>
#include <charconv>
#include <cstdlib>

namespace sphere::onednn {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxFields = 200000;

class Parser {
  public:
    Parser(std::string_view text, const std::string &path) : rest_(text), path_(path) {}

    Result<TextMessage> parse() {
        TextMessage top;
        SPHERE_TRY(parse_fields(top, 0));
        if (!rest_.empty())
            return error("a bracket too many");
        return top;
    }

  private:
    Error error(const char *what) const {
        return fail(Errc::Corrupt, path_, ", line ", line_, ": ", what, ".");
    }
    void skip_space() {
        while (!rest_.empty()) {
            if (rest_[0] == '#') {
                rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
            } else if (std::isspace(static_cast<unsigned char>(rest_[0])) || rest_[0] == ',' ||
                       rest_[0] == ';') {
                line_ += rest_[0] == '\n';
                rest_.remove_prefix(1);
            } else {
                return;
            }
        }
    }
    std::string_view word() {
        std::size_t n = 0;
        while (n < rest_.size() &&
               (std::isalnum(static_cast<unsigned char>(rest_[n])) || rest_[n] == '_' ||
                rest_[n] == '.' || rest_[n] == '-' || rest_[n] == '+'))
            ++n;
        const std::string_view found = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return found;
    }
    Result<std::string> scalar() {
        if (!rest_.empty() && (rest_[0] == '"' || rest_[0] == '\'')) {
            const std::size_t end = rest_.find(rest_[0], 1);
            if (end > 4096) // npos is
                return error("a text without its closing quote");
            std::string found(rest_.substr(1, end - 1));
            rest_.remove_prefix(end + 1);
            return found;
        }
        const std::string_view found = word();
        if (found.empty() || found.size() > 4096)
            return error("a value is missing");
        return std::string(found);
    }
    Result<void> parse_fields(TextMessage &message, int depth) {
        if (depth > kMaxDepth)
            return error("messages too deep in one another");
        for (skip_space(); !rest_.empty() && rest_[0] != '}'; skip_space()) {
            if (++fields_ > kMaxFields)
                return error("more fields than a network has");
            TextField field;
            field.key = word();
            if (field.key.empty() || field.key.size() > 256)
                return error("a field's name is missing");
            skip_space();
            const bool colon = !rest_.empty() && rest_[0] == ':';
            if (colon) {
                rest_.remove_prefix(1);
                skip_space();
            }
            if (!rest_.empty() && rest_[0] == '{') {
                rest_.remove_prefix(1);
                field.message.emplace_back();
                SPHERE_TRY(parse_fields(field.message[0], depth + 1));
                if (rest_.empty())
                    return error("a bracket is not closed");
                rest_.remove_prefix(1);
            } else if (colon) {
                auto value = scalar();
                if (!value)
                    return std::move(value).error();
                field.value = std::move(*value);
            } else {
                return error("neither ':' nor '{' after a field's name");
            }
            message.fields.push_back(std::move(field));
        }
        return {};
    }

    std::string_view rest_;
    const std::string &path_;
    int line_ = 1;
    std::size_t fields_ = 0;
};

const TextField *find(const TextMessage &message, std::string_view key) {
    for (const TextField &field : message.fields)
        if (field.key == key)
            return &field;
    return nullptr;
}

} // namespace

std::string TextMessage::text(std::string_view key, const std::string &fallback) const {
    const TextField *field = find(*this, key);
    return field != nullptr ? field->value : fallback;
}

std::int64_t TextMessage::integer(std::string_view key, std::int64_t fallback) const {
    const TextField *field = find(*this, key);
    std::int64_t value = fallback;
    if (field != nullptr)
        std::from_chars(field->value.data(), field->value.data() + field->value.size(), value);
    return value;
}

double TextMessage::number(std::string_view key, double fallback) const {
    const TextField *field = find(*this, key);
    double value = fallback;
    if (field != nullptr)
        std::from_chars(field->value.data(), field->value.data() + field->value.size(), value);
    return value;
}

bool TextMessage::flag(std::string_view key, bool fallback) const {
    const TextField *field = find(*this, key);
    return field != nullptr ? field->value == "true" || field->value == "1" : fallback;
}

bool TextMessage::has(std::string_view key) const {
    return find(*this, key) != nullptr;
}

const TextMessage &TextMessage::child(std::string_view key) const {
    static const TextMessage kEmpty;
    const TextField *field = find(*this, key);
    return field != nullptr && !field->message.empty() ? field->message[0] : kEmpty;
}

std::vector<std::string> TextMessage::texts(std::string_view key) const {
    std::vector<std::string> found;
    for (const TextField &field : fields)
        if (field.key == key)
            found.push_back(field.value);
    return found;
}

Result<TextMessage> parse_prototxt(std::string_view text, const std::string &path) {
    return Parser(text, path).parse();
}

} // namespace sphere::onednn
