// SPDX-License-Identifier: MIT
// libFuzzer: the readers of a portable gallery. The first byte picks one; the rest is a line, a
// manifest or the start of a matrix. Each must end in a value within its limits, or an Error.
#include "core/gallery/limits.h"
#include "core/gallery/npy.h"
#include "core/gallery/portable.h"

#include <cstdlib>
#include <string_view>

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

template <typename T> bool said(const sphere::Result<T> &result) {
    require(result.ok() || !result.error().message.empty());
    return result.ok();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size < 1)
        return 0;
    const std::string_view text(reinterpret_cast<const char *>(data) + 1, size - 1);
    switch (data[0]) {
    case 'm':
        if (const auto manifest = sphere::parse_portable_manifest(text); said(manifest)) {
            require(manifest->stamp.dims >= 1 && manifest->stamp.dims <= sphere::kMaxDims);
            require(manifest->counts.faces >= 0 && manifest->counts.faces <= sphere::kMaxFaces);
            for (const sphere::PortableFile &file : manifest->files)
                require(file.name.find('/') == std::string::npos && file.bytes >= 0);
        }
        break;
    case 'p':
        if (const auto person = sphere::parse_portable_person(text); said(person))
            require(person->attributes.size() <= sphere::kMaxAttributesBytes);
        break;
    case 'f':
        if (const auto face = sphere::parse_portable_face(text); said(face))
            require(face->face.thumbnail_jpeg.size() <= sphere::kMaxThumbnailBytes);
        break;
    case 'n':
        (void)said(sphere::parse_portable_negative(text));
        break;
    default:
        if (const auto shape = sphere::parse_npy_header(text))
            require(shape->rows >= 0 && shape->columns >= 0 &&
                    shape->header_bytes <= text.size());
    }
    return 0;
}
