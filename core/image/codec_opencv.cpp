// SPDX-License-Identifier: MIT
// Picture files by OpenCV's imgcodecs.
#include "core/image/codec_opencv.h"

#include <opencv2/imgcodecs.hpp>

#include <cstring>
#include <string_view>

namespace sphere {
namespace {

Image copy_of(const cv::Mat &mat) {
    Image image(mat.cols, mat.rows);
    const auto row_bytes = static_cast<std::size_t>(mat.cols) * 3;
    for (int y = 0; y < mat.rows; ++y)
        std::memcpy(image.bgr.data() + static_cast<std::size_t>(y) * row_bytes, mat.ptr(y),
                    row_bytes);
    return image;
}

Result<Image> decode(const std::vector<std::uint8_t> &bytes) try {
    const cv::Mat mat = cv::imdecode(bytes, cv::IMREAD_COLOR);
    if (mat.empty() || mat.type() != CV_8UC3)
        return Image();
    return copy_of(mat);
} catch (const std::exception &e) { // cv::Exception, bad_alloc
    return fail(Errc::Corrupt, e.what());
}

Result<std::vector<std::uint8_t>> encode(const Image &image, const char *extension,
                                         int jpeg_quality) try {
    std::vector<int> parameters;
    if (std::string_view(extension) == ".jpg")
        parameters = {cv::IMWRITE_JPEG_QUALITY, jpeg_quality};
    // imencode only reads; cv::Mat has no view of const data.
    const cv::Mat mat(image.height, image.width, CV_8UC3,
                      const_cast<std::uint8_t *>(image.bgr.data()));
    std::vector<std::uint8_t> bytes;
    if (!cv::imencode(extension, mat, bytes, parameters))
        return fail(Errc::Unsupported, "this OpenCV cannot write ", extension, " files");
    return bytes;
} catch (const std::exception &e) {
    return fail(Errc::Internal, "encoding a picture of ", image.width, "x", image.height,
                " as ", extension, " failed: ", e.what());
}

} // namespace
} // namespace sphere

const sphere::PictureCoder sphere_opencv_picture_coder = {&sphere::decode, &sphere::encode};
