// SPDX-License-Identifier: MIT
// The PEM files of a connection by TLS, looked at before a library sees them: libraries say
// late, or not at all, which of them is wrong. Internal to publish.
#pragma once

#include "core/publish/location.h"
#include "core/publish/publisher.h"

namespace sphere {

/// Errors name the property (ca-file, cert-file, key-file) and the file: NotFound, Permission,
/// Corrupt (no PEM of that kind in it), InvalidArgument (the location is not by TLS; a
/// certificate without its key or the other way round).
Result<void> check_tls_files(const PublishLocation &location, const PublishOptions &options);

} // namespace sphere
