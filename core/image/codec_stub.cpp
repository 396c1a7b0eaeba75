// SPDX-License-Identifier: MIT
// Picture files in a build without OpenCV.
#include "core/image/codec.h"

namespace sphere {
namespace {

Error absent(const std::string &what) {
    return fail(Errc::Unsupported, what,
                ": built without picture files (enable with -Dopencv=enabled)");
}

} // namespace

Result<Image> read_image(const std::string &path) {
    return absent("cannot read " + path);
}

Result<Image> decode_image(const std::string &name, const std::vector<std::uint8_t> &) {
    return absent("cannot read " + name);
}

Result<void> write_image(const std::string &path, const Image &) {
    return absent("cannot write " + path);
}

Result<std::vector<std::uint8_t>> encode_jpeg(const Image &, int) {
    return absent("cannot encode a JPEG");
}

Result<void> load_picture_coder() {
    return absent("cannot encode pictures");
}

} // namespace sphere
