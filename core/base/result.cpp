// SPDX-License-Identifier: MIT
#include "core/base/result.h"

namespace sphere {

const char *errc_name(Errc code) noexcept {
    switch (code) {
    case Errc::InvalidArgument:
        return "invalid argument";
    case Errc::NotFound:
        return "not found";
    case Errc::Permission:
        return "permission denied";
    case Errc::Corrupt:
        return "corrupt";
    case Errc::Unsupported:
        return "unsupported";
    case Errc::Mismatch:
        return "mismatch";
    case Errc::Busy:
        return "busy";
    case Errc::NoSpace:
        return "no space";
    case Errc::Io:
        return "input/output";
    case Errc::Engine:
        return "engine";
    case Errc::Internal:
        return "internal";
    }
    return "unknown";
}

} // namespace sphere
