// SPDX-License-Identifier: MIT
#include "pipelines/camera/uri.h"

#include <algorithm>
#include <cctype>

namespace sphere::camera {
namespace {

constexpr std::string_view kHidden = "***";

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    const int lower = std::tolower(static_cast<unsigned char>(c));
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            decoded += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else {
            decoded += text[i];
        }
    }
    return decoded;
}

// "host:abc" is the beginning of "user:abc/def@host", not of a host with a port.
bool has_odd_port(std::string_view authority) {
    if (!authority.empty() && authority.front() == '[') // IPv6
        authority.remove_prefix(std::min(authority.find(']') + 1, authority.size()));
    const std::size_t colon = authority.find(':');
    return colon != std::string_view::npos &&
           !std::all_of(authority.begin() + static_cast<std::ptrdiff_t>(colon) + 1,
                        authority.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

} // namespace

Result<Address> split_address(std::string_view uri) {
    Address address;
    address.uri = uri;
    const std::size_t scheme_end = uri.find("://");
    if (scheme_end == std::string_view::npos || uri.starts_with("file:"))
        return address;
    const std::size_t begin = scheme_end + 3;
    const std::size_t end = std::min(uri.find_first_of("/?#", begin), uri.size());
    const std::string_view authority = uri.substr(begin, end - begin);
    const std::size_t at = authority.rfind('@');
    const std::string_view host =
        at == std::string_view::npos ? authority : authority.substr(at + 1);
    if (has_odd_port(host))
        return fail(Errc::InvalidArgument,
                    "the part after :// is no host and port; in a user or password write /, ? "
                    "and # as %2F, %3F and %23");
    if (at == std::string_view::npos)
        return address;
    const std::string_view secret = authority.substr(0, at);
    const std::size_t colon = secret.find(':');
    address.user = percent_decoded(secret.substr(0, colon));
    if (colon != std::string_view::npos)
        address.password = percent_decoded(secret.substr(colon + 1));
    address.uri = std::string(uri.substr(0, begin)) + std::string(uri.substr(begin + at + 1));
    return address;
}

std::string without_secrets(std::string_view text, std::string_view password) {
    std::string clean;
    std::size_t from = 0;
    for (;;) {
        const std::size_t scheme_end = text.find("://", from);
        if (scheme_end == std::string_view::npos)
            break;
        const std::size_t begin = scheme_end + 3;
        // To the last @ of the word: a password may hold what should have been encoded.
        const std::size_t end =
            std::min(text.find_first_of(" \t\r\n\"'<>", begin), text.size());
        const std::size_t at = text.substr(begin, end - begin).rfind('@');
        clean += text.substr(from, begin - from);
        from = begin;
        if (at != std::string_view::npos) {
            clean += kHidden;
            from = begin + at;
        }
    }
    clean += text.substr(from);
    if (password.empty())
        return clean;
    for (std::size_t at = clean.find(password); at != std::string::npos;
         at = clean.find(password, at + kHidden.size()))
        clean.replace(at, password.size(), kHidden);
    return clean;
}

} // namespace sphere::camera
