// SPDX-License-Identifier: MIT
// Who we are to a server. Internal to publish.
#pragma once

#include "core/base/result.h"

#include <string>

namespace sphere {

inline constexpr const char *kUsernameVariable = "SPHERE_PUBLISH_USERNAME";
inline constexpr const char *kPasswordVariable = "SPHERE_PUBLISH_PASSWORD";
inline constexpr const char *kTokenVariable = "SPHERE_PUBLISH_TOKEN";

/// Empty what is not given.
struct Credentials {
    std::string username;
    std::string password;
    std::string token; ///< webhooks: Authorization: Bearer
    std::string query; ///< webhooks: what follows ? in the URL
};

/// From the file, lines of username=, password=, token=, query=, # for comments; without one
/// from the environment. Errors: NotFound, Permission (others may read it), InvalidArgument (no
/// such line); messages never repeat what is in it.
Result<Credentials> read_credentials(const std::string &path);

} // namespace sphere
