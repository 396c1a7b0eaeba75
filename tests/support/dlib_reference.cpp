// SPDX-License-Identifier: MIT
// For the parity tests: dlib's own answer, without anything of ours. usage: sphere-test-dlib
// PREDICTOR PPM...: a line a face: file, left top width height confidence, then 68 x y.
#include <dlib/array2d.h>
#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_processing/shape_predictor.h>
#include <dlib/image_transforms.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Picture = dlib::array2d<dlib::rgb_pixel>;

/// A binary PPM of 8 bits, as the test writes it: "P6 WIDTH HEIGHT 255" and one white space.
Picture read_ppm(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    std::string magic;
    long width = 0, height = 0, most = 0;
    if (!(in >> magic >> width >> height >> most) || magic != "P6" || most != 255 ||
        width < 1 || height < 1 || width > 20000 || height > 20000)
        throw std::runtime_error(path + " is not a PPM of 8 bits");
    in.get();
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    if (bytes.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)
        throw std::runtime_error(path + " is too short or too long");
    Picture picture(height, width);
    const auto *p = reinterpret_cast<const unsigned char *>(bytes.data());
    for (long y = 0; y < height; ++y)
        for (long x = 0; x < width; ++x, p += 3)
            picture[y][x] = dlib::rgb_pixel(p[0], p[1], p[2]);
    return picture;
}

void print_faces(dlib::frontal_face_detector &detector, const dlib::shape_predictor &predictor,
                 const char *path) {
    const Picture picture = read_ppm(path);
    Picture large;
    dlib::assign_image(large, picture);
    dlib::pyramid_up(large);
    std::vector<dlib::rect_detection> found;
    detector(large, found, 0.0);
    const dlib::pyramid_down<2> pyramid;
    for (const dlib::rect_detection &detection : found) {
        const dlib::rectangle r = pyramid.rect_down(detection.rect, 1);
        std::printf("%s %ld %ld %lu %lu %.9g", path, r.left(), r.top(), r.width(), r.height(),
                    detection.detection_confidence);
        const auto shape = predictor(picture, r);
        for (unsigned long i = 0; i < shape.num_parts(); ++i)
            std::printf(" %ld %ld", shape.part(i).x(), shape.part(i).y());
        std::printf("\n");
    }
}

} // namespace

int main(int argc, char **argv) {
    try {
        if (argc < 3)
            throw std::runtime_error("usage: sphere-test-dlib PREDICTOR PPM...");
        dlib::frontal_face_detector detector = dlib::get_frontal_face_detector();
        dlib::shape_predictor predictor;
        dlib::deserialize(argv[1]) >> predictor;
        for (int i = 2; i < argc; ++i)
            print_faces(detector, predictor, argv[i]);
    } catch (const std::exception &exception) {
        std::fprintf(stderr, "%s\n", exception.what());
        return 1;
    }
    return 0;
}
