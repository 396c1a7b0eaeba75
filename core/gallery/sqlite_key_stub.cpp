// SPDX-License-Identifier: MIT
// Keys in a build without SQLCipher: a gallery that was to be encrypted is not made in the
// clear.
#include "core/gallery/gallery_key.h"
#include "core/gallery/sqlite_key.h"

namespace sphere {

Result<bool> use_sqlite_key(sqlite3 *) {
    if (galleries_are_encrypted())
        return fail(Errc::Unsupported, kGalleryKeyFileVariable, " or ", kGalleryKeyVariable,
                    " is set, but this build does not encrypt galleries (enable with "
                    "-Dsqlcipher=enabled): unset it, or use a build with SQLCipher 4");
    return false;
}

} // namespace sphere
