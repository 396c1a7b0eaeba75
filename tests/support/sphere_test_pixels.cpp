// SPDX-License-Identifier: MIT
// sphere-test-pixels: lets a script call resize, warp and estimate_similarity. Reads one JSON
// object a line from standard input; answers each with a JSON line and, for pictures, raw bytes
// after it.
#include "core/image/geometry.h"
#include "core/image/resize.h"
#include "core/image/warp.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace {

using nlohmann::json;
using namespace sphere;

const std::map<std::string, PixelFormat> kFormats = {
    {"I420", PixelFormat::I420}, {"YV12", PixelFormat::YV12},  {"NV12", PixelFormat::NV12},
    {"YUY2", PixelFormat::YUY2}, {"BGR", PixelFormat::BGR},    {"RGB", PixelFormat::RGB},
    {"BGRx", PixelFormat::BGRx}, {"RGBx", PixelFormat::RGBx},  {"BGRA", PixelFormat::BGRA},
    {"RGBA", PixelFormat::RGBA}, {"GRAY8", PixelFormat::GRAY8}};

/// A frame file as it was named last: scripts ask several things of one frame.
struct Frame {
    std::string path;
    std::vector<std::uint8_t> bytes;
};

ImageView view_of(const json &request, Frame &frame) {
    const std::string path = request.at("file");
    if (path != frame.path) {
        std::ifstream in(path, std::ios::binary);
        frame.bytes.assign(std::istreambuf_iterator<char>(in), {});
        frame.path = path;
    }
    ImageView view;
    view.format = kFormats.at(request.at("format"));
    view.width = request.at("width");
    view.height = request.at("height");
    const json &color = request.at("color");
    view.color.kr = color.at("kr");
    view.color.kb = color.at("kb");
    view.color.full_range = color.at("full_range");
    view.color.site = {color.at("h_cosited"), color.at("v_cosited")};
    std::size_t i = 0;
    for (const json &plane : request.at("planes"))
        view.planes.at(i++) = {frame.bytes.data() + plane.at("offset").get<std::size_t>(),
                               plane.at("stride").get<std::ptrdiff_t>()};
    return view;
}

RectI rect_of(const json &j) {
    return {j.at(0), j.at(1), j.at(2), j.at(3)};
}

std::vector<Point2f> points_of(const json &j) {
    std::vector<Point2f> points;
    for (const json &p : j)
        points.push_back({p.at(0), p.at(1)});
    return points;
}

Affine affine_of(const json &j) {
    return {j.get<std::array<double, 6>>()};
}

void answer(const json &head, const void *bytes = nullptr, std::size_t size = 0) {
    json line = head;
    line["bytes"] = size;
    const std::string text = line.dump() + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fwrite(bytes, 1, size, stdout);
    std::fflush(stdout);
}

void answer_image(const Result<Image> &image) {
    if (image)
        answer({{"width", image->width}, {"height", image->height}}, image->bgr.data(),
               image->bgr.size());
    else
        answer({{"error", image.error().message}});
}

void answer_tensor(const ImageView &view, const json &request) {
    const int width = request.at("out").at(0), height = request.at("out").at(1);
    const std::string order = request.at("order");
    Normalization norm;
    norm.order = order == "RGB"   ? ChannelOrder::RGB
                 : order == "BGR" ? ChannelOrder::BGR
                                  : ChannelOrder::Gray;
    norm.mean = request.at("mean").get<std::array<float, 3>>();
    norm.scale = request.at("scale").get<std::array<float, 3>>();
    const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(width) * height;
    std::vector<float> tensor(static_cast<std::size_t>(plane) * (order == "Gray" ? 1 : 3));
    const auto done = resize_to_tensor(view, rect_of(request.at("roi")), width, height, norm,
                                       {tensor.data(), plane, width});
    if (done)
        answer(json::object(), tensor.data(), tensor.size() * sizeof(float));
    else
        answer({{"error", done.error().message}});
}

void serve(const json &request, Frame &frame) {
    const std::string op = request.at("op");
    if (op == "similarity") {
        const auto map =
            estimate_similarity(points_of(request.at("from")), points_of(request.at("to")));
        answer(map ? json{{"matrix", map->m}} : json{{"error", "no similarity"}});
        return;
    }
    const ImageView view = view_of(request, frame);
    if (op == "tensor") {
        answer_tensor(view, request);
        return;
    }
    const int width = request.at("out").at(0), height = request.at("out").at(1);
    if (op == "resize") {
        answer_image(resize_to_bgr(view, rect_of(request.at("roi")), width, height));
        return;
    }
    if (op != "warp")
        throw std::invalid_argument("unknown op " + op);
    std::optional<RectI> limit;
    if (request.contains("limit"))
        limit = rect_of(request.at("limit"));
    answer_image(warp_affine(view, affine_of(request.at("matrix")), width, height, limit));
}

} // namespace

int main() try {
    Frame frame;
    for (std::string line; std::getline(std::cin, line);)
        serve(json::parse(line), frame);
    return 0;
} catch (const std::exception &e) {
    std::fprintf(stderr, "sphere-test-pixels: %s\n", e.what());
    return 2;
}
