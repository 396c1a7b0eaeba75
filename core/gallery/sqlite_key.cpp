// SPDX-License-Identifier: MIT
// Encryption by SQLCipher 4 (AES-256, a MAC for each page), which stands in for SQLite.
#include "core/gallery/sqlite_key.h"
#include "core/gallery/gallery_key.h"

#include <sqlite3.h>

namespace sphere {

Result<bool> use_sqlite_key(sqlite3 *connection) {
    const auto key = gallery_key();
    if (!key)
        return key.error();
    if (!*key)
        return false;
    // By the API and not as SQL, which might be logged.
    if (sqlite3_key(connection, (*key)->data(), static_cast<int>((*key)->size())) !=
            SQLITE_OK ||
        sqlite3_exec(connection,
                     ("PRAGMA cipher_page_size = " + std::to_string(kEncryptedPageBytes) +
                      "; PRAGMA cipher_log_level = NONE")
                         .c_str(),
                     nullptr, nullptr, nullptr) != SQLITE_OK)
        return fail(Errc::Internal, "gallery: SQLCipher does not take a key");
    return true;
}

} // namespace sphere
