// SPDX-License-Identifier: MIT
#include "core/publish/credentials.h"

#include "core/base/private_file.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace sphere {
namespace {

constexpr std::size_t kMaxFileBytes = 16384;

std::string variable(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr ? value : "";
}

Error file_error(Errc code, const std::string &what) {
    return fail(code, "credentials-file ", what);
}

bool is_printable(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

} // namespace

Result<Credentials> read_credentials(const std::string &path) {
    if (path.empty())
        return Credentials{variable(kUsernameVariable),
                           variable(kPasswordVariable),
                           variable(kTokenVariable),
                           {}};
    const auto text = read_private_file(path, kMaxFileBytes);
    if (!text)
        return file_error(text.error().code, text.error().message);
    Credentials credentials;
    const std::pair<std::string_view, std::string *> members[] = {
        {"username=", &credentials.username},
        {"password=", &credentials.password},
        {"token=", &credentials.token},
        {"query=", &credentials.query},
    };
    for (std::string_view left = *text; !left.empty();) {
        const std::size_t end = std::min(left.find('\n'), left.size());
        std::string_view line = left.substr(0, end);
        left.remove_prefix(std::min(end + 1, left.size()));
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.empty() || line[0] == '#')
            continue;
        const auto *const member =
            std::find_if(std::begin(members), std::end(members),
                         [line](const auto &one) { return line.starts_with(one.first); });
        if (member == std::end(members) || !is_printable(line))
            return file_error(Errc::InvalidArgument,
                              path +
                                  " has lines of username=, password=, token= and query= only, "
                                  "without control characters");
        *member->second = line.substr(member->first.size());
    }
    return credentials;
}

} // namespace sphere
