// SPDX-License-Identifier: MIT
// Addresses of cameras and the passwords in them.
#pragma once

#include "core/base/result.h"

#include <string>
#include <string_view>

namespace sphere::camera {

struct Address {
    std::string uri; ///< without user and password
    std::string user;
    std::string password;
};

/// Takes user and password (percent-decoded) out of `uri`. Errors: InvalidArgument where it
/// cannot be told where a password ends (a "/", "?" or "#" in it that is not percent-encoded);
/// the message does not repeat the URI.
Result<Address> split_address(std::string_view uri);

/// `text` with the user and password of each URI in it, and each occurrence of `password`
/// where it is not empty, replaced by ***. For messages of others before they are logged.
std::string without_secrets(std::string_view text, std::string_view password = {});

} // namespace sphere::camera
