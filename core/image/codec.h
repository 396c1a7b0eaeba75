// SPDX-License-Identifier: MIT
// Picture files: read and write.
#pragma once

#include "core/base/result.h"
#include "core/image/image.h"

#include <string>

namespace sphere {

/// Largest picture that is decoded: 256 megapixels, against decompression bombs.
inline constexpr long long kMaxImagePixels = 256LL * 1000 * 1000;

/// Reads a JPEG, PNG, BMP, WebP, TIFF or PNM file as 8-bit BGR; EXIF orientation applied, alpha
/// dropped, 16 bits scaled to 8, gray replicated. A JPEG that ends early is decoded as far as
/// it goes and warned of in the log. Errors: NotFound, Permission, Corrupt (not a picture,
/// empty, ends early, too large); each names the path.
Result<Image> read_image(const std::string &path);

/// The same of bytes in memory; `name` stands for the path in errors.
Result<Image> decode_image(const std::string &name, const std::vector<std::uint8_t> &bytes);

/// Writes JPEG or PNG by the path's extension, through a temporary file that is renamed, mode
/// 0600. Errors: InvalidArgument (extension, empty picture), NotFound (folder), Permission,
/// NoSpace, Io.
Result<void> write_image(const std::string &path, const Image &image);

/// JPEG bytes of a picture; quality 0..100.
Result<std::vector<std::uint8_t>> encode_jpeg(const Image &image, int quality);

/// Loads what the functions above need, which the first of them does else, in a tenth of a
/// second: for who cannot wait then. Errors: Unsupported.
Result<void> load_picture_coder();

} // namespace sphere
