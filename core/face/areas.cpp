// SPDX-License-Identifier: MIT
#include "core/face/areas.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sphere {
namespace {

constexpr std::size_t kMaxShapes = 64;
constexpr std::size_t kMaxCorners = 64;
/// Two boxes of one face, found in two tiles or in a tile and the whole.
constexpr float kSameFaceOverlap = 0.4F;
/// A box this much inside another is a part of the same face that a tile's border cut.
constexpr float kPartOfAnother = 0.8F;
/// A box nearer to a tile's inner border than this is taken to be cut by it.
constexpr float kBorderPx = 2;

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\n");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

/// The part up to the separator; `rest` loses it.
std::string_view take_until(std::string_view &rest, char separator) {
    const auto at = rest.find(separator);
    const std::string_view part = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
    return part;
}

bool inside(const std::vector<Point2f> &outline, Point2f p) {
    bool in = false;
    for (std::size_t i = 0, j = outline.size() - 1; i < outline.size(); j = i++) {
        const Point2f a = outline[i], b = outline[j];
        const double cross =
            (static_cast<double>(b.x) - a.x) * (static_cast<double>(p.y) - a.y) -
            (static_cast<double>(b.y) - a.y) * (static_cast<double>(p.x) - a.x);
        if (cross == 0 && p.x >= std::min(a.x, b.x) && p.x <= std::max(a.x, b.x) &&
            p.y >= std::min(a.y, b.y) && p.y <= std::max(a.y, b.y))
            return true;
        if ((a.y > p.y) != (b.y > p.y) &&
            p.x < static_cast<double>(a.x) + (static_cast<double>(p.y) - a.y) *
                                                 (static_cast<double>(b.x) - a.x) /
                                                 (static_cast<double>(b.y) - a.y))
            in = !in;
    }
    return in;
}

Point2f centre(const Box &box) {
    return {box.x + box.w / 2, box.y + box.h / 2};
}

float intersection(const Box &a, const Box &b) {
    const float w = std::min(a.x + a.w, b.x + b.w) - std::max(a.x, b.x);
    const float h = std::min(a.y + a.h, b.y + b.h) - std::max(a.y, b.y);
    return w > 0 && h > 0 ? w * h : 0;
}

void shift(Face &face, const RectI &part) {
    const auto dx = static_cast<float>(part.x), dy = static_cast<float>(part.y);
    face.box.x += dx;
    face.box.y += dy;
    if (face.landmarks)
        for (Point2f &point : *face.landmarks)
            point = {point.x + dx, point.y + dy};
    for (Point2f &point : face.dense_landmarks)
        point = {point.x + dx, point.y + dy};
}

/// Whether a border of `tile` that is not one of `area` cuts the box.
bool is_cut(const Box &box, const RectI &tile, const RectI &area) {
    const auto left = static_cast<float>(tile.x) + kBorderPx;
    const auto top = static_cast<float>(tile.y) + kBorderPx;
    const auto right = static_cast<float>(tile.x + tile.w) - kBorderPx;
    const auto bottom = static_cast<float>(tile.y + tile.h) - kBorderPx;
    return (tile.x > area.x && box.x < left) || (tile.y > area.y && box.y < top) ||
           (tile.x + tile.w < area.x + area.w && box.x + box.w > right) ||
           (tile.y + tile.h < area.y + area.h && box.y + box.h > bottom);
}

/// Best score first; what is the same face as a better one, or a part of it, goes.
std::vector<Face> merged(std::vector<Face> faces) {
    std::stable_sort(faces.begin(), faces.end(),
                     [](const Face &a, const Face &b) { return a.score > b.score; });
    std::vector<Face> kept;
    for (Face &face : faces) {
        const bool known = std::any_of(kept.begin(), kept.end(), [&](const Face &other) {
            const float smaller = std::min(face.box.area(), other.box.area());
            return intersection_over_union(face.box, other.box) > kSameFaceOverlap ||
                   intersection(face.box, other.box) > kPartOfAnother * smaller;
        });
        if (!known)
            kept.push_back(std::move(face));
    }
    return kept;
}

/// Positions of `count` pieces of `size` over `length` from `from`, evenly, even numbers.
std::vector<int> spread(int from, int length, int size, int overlap) {
    std::vector<int> starts;
    if (size >= length)
        return {from};
    const int step = std::max(1, size - overlap);
    const int count = (length - size + step - 1) / step + 1;
    for (int i = 0; i < count; ++i) {
        const auto at =
            static_cast<int>(static_cast<long long>(length - size) * i / (count - 1));
        starts.push_back(from + at / 2 * 2);
    }
    return starts;
}

} // namespace

Result<Regions::Number> Regions::parse_number(std::string_view text) {
    text = trimmed(text);
    Number number;
    number.percent = text.ends_with('%');
    if (number.percent)
        text.remove_suffix(1);
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number.value);
    if (error != std::errc{} || end != text.data() + text.size() ||
        !(std::abs(number.value) <= 1e6))
        return fail(Errc::InvalidArgument, "'", std::string(text),
                    "' is not a number of pixels or a share in %.");
    return number;
}

Result<Regions::Shape> Regions::parse_shape(std::string_view text) {
    Shape shape;
    const auto commas = std::count(text.begin(), text.end(), ',');
    shape.rectangle = commas == 3 && text.find(' ') == std::string_view::npos;
    while (!text.empty()) {
        std::string_view corner = text;
        if (shape.rectangle) {
            // X,Y,W,H: two commas belong to a corner's own numbers
            const std::string_view x = take_until(text, ',');
            const std::string_view y = take_until(text, ',');
            corner = {x.data(), static_cast<std::size_t>(y.data() + y.size() - x.data())};
        } else {
            corner = take_until(text, ' ');
            if (trimmed(corner).empty())
                continue;
        }
        const std::string_view x = take_until(corner, ',');
        auto px = parse_number(x), py = parse_number(corner);
        if (!px)
            return std::move(px).error();
        if (!py)
            return std::move(py).error();
        shape.corners.push_back({*px, *py});
        if (shape.corners.size() > kMaxCorners)
            return fail(Errc::InvalidArgument, "a polygon has more than ", kMaxCorners,
                        " points.");
    }
    if (shape.rectangle && (shape.corners[1].x.value <= 0 || shape.corners[1].y.value <= 0))
        return fail(Errc::InvalidArgument, "a rectangle without width or height.");
    if (!shape.rectangle && shape.corners.size() < 3)
        return fail(Errc::InvalidArgument,
                    "neither a rectangle X,Y,W,H nor a polygon of at least three points X,Y "
                    "X,Y X,Y.");
    return shape;
}

Result<Regions> Regions::parse(std::string_view text) {
    Regions regions;
    std::string_view rest = text;
    while (!trimmed(rest).empty()) {
        const std::string_view part = trimmed(take_until(rest, ';'));
        if (part.empty())
            continue;
        auto shape = parse_shape(part);
        if (!shape)
            return fail(Errc::InvalidArgument, "region '", std::string(part),
                        "': ", shape.error().message);
        regions.shapes_.push_back(std::move(*shape));
        if (regions.shapes_.size() > kMaxShapes)
            return fail(Errc::InvalidArgument, "region: more than ", kMaxShapes, " parts.");
    }
    return regions;
}

std::vector<Point2f> Regions::outline(const Shape &shape, int width, int height) {
    std::vector<Point2f> points;
    for (const Corner &corner : shape.corners)
        points.push_back(
            {static_cast<float>(corner.x.in(width)), static_cast<float>(corner.y.in(height))});
    if (shape.rectangle) {
        const Point2f at = points[0], size = points[1];
        return {
            at, {at.x + size.x, at.y}, {at.x + size.x, at.y + size.y}, {at.x, at.y + size.y}};
    }
    return points;
}

RectI Regions::bounds(int frame_width, int frame_height) const {
    if (whole_frame())
        return {0, 0, frame_width, frame_height};
    float x0 = HUGE_VALF, y0 = HUGE_VALF, x1 = -HUGE_VALF, y1 = -HUGE_VALF;
    for (const Shape &shape : shapes_)
        for (const Point2f p : outline(shape, frame_width, frame_height)) {
            x0 = std::min(x0, p.x), x1 = std::max(x1, p.x);
            y0 = std::min(y0, p.y), y1 = std::max(y1, p.y);
        }
    const auto clip = [](float v, int limit) {
        return static_cast<int>(std::clamp(v, 0.0F, static_cast<float>(limit)));
    };
    RectI rect{clip(std::floor(x0), frame_width), clip(std::floor(y0), frame_height), 0, 0};
    rect.w = clip(std::ceil(x1), frame_width) - rect.x;
    rect.h = clip(std::ceil(y1), frame_height) - rect.y;
    return rect;
}

bool Regions::contains(Point2f point, int frame_width, int frame_height) const {
    return whole_frame() ||
           std::any_of(shapes_.begin(), shapes_.end(), [&](const Shape &shape) {
               return inside(outline(shape, frame_width, frame_height), point);
           });
}

Result<TileSize> parse_tile(std::string_view text) {
    TileSize tile;
    if (text.empty() || text == "none")
        return tile;
    std::string_view height = text;
    const std::string_view width = take_until(height, 'x');
    const auto read = [](std::string_view digits, int &value) {
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return error == std::errc{} && end == digits.data() + digits.size() && value >= 64 &&
               value <= 8192;
    };
    if (!read(width, tile.width_px) || !read(height, tile.height_px))
        return fail(Errc::InvalidArgument, "tile=", std::string(text),
                    " is neither none nor WIDTHxHEIGHT of 64 to 8192 pixels, such as 640x640.");
    return tile;
}

std::vector<RectI> tiles_of(const RectI &area, const TileSize &tile) {
    std::vector<RectI> tiles;
    int w = std::min(tile.width_px, area.w), h = std::min(tile.height_px, area.h);
    w += (area.w - w) % 2; // the last begins at an even number too, and ends with the area
    h += (area.h - h) % 2;
    const auto overlap = [](int side) { return static_cast<int>(side * kTileOverlap) + 2; };
    for (const int y : spread(area.y, area.h, h, overlap(h)))
        for (const int x : spread(area.x, area.w, w, overlap(w)))
            tiles.push_back({x, y, w, h});
    return tiles;
}

ImageView view_of_part(const ImageView &frame, RectI &part) {
    const auto to_even = [](int &at, int &size) {
        size += at % 2;
        at -= at % 2;
    };
    to_even(part.x, part.w);
    to_even(part.y, part.h);
    ImageView view = frame;
    view.width = part.w;
    view.height = part.h;
    const auto move = [&](std::size_t plane, int x_bytes, int y) {
        view.planes[plane].data += y * frame.planes[plane].stride_bytes + x_bytes;
    };
    switch (frame.format) {
    case PixelFormat::I420:
    case PixelFormat::YV12:
        move(0, part.x, part.y);
        move(1, part.x / 2, part.y / 2);
        move(2, part.x / 2, part.y / 2);
        break;
    case PixelFormat::NV12:
        move(0, part.x, part.y);
        move(1, part.x, part.y / 2);
        break;
    case PixelFormat::YUY2:
        move(0, part.x * 2, part.y);
        break;
    case PixelFormat::GRAY8:
        move(0, part.x, part.y);
        break;
    case PixelFormat::BGR:
    case PixelFormat::RGB:
        move(0, part.x * 3, part.y);
        break;
    default:
        move(0, part.x * 4, part.y);
    }
    return view;
}

Result<std::vector<Face>> detect_in_areas(Detector &detector, const ImageView &frame,
                                          const DetectOptions &options, const Regions &regions,
                                          const TileSize &tile, DetectTiming *timing) {
    const bool tiled =
        tile.width_px > 0 && (tile.width_px < frame.width || tile.height_px < frame.height);
    if (frame.empty() || (regions.whole_frame() && !tiled))
        return detector.detect(frame, options, timing);
    const RectI area = regions.bounds(frame.width, frame.height);
    if (area.w <= 0 || area.h <= 0)
        return std::vector<Face>{};

    std::vector<RectI> parts{area};
    if (tiled) {
        const std::vector<RectI> tiles = tiles_of(area, tile);
        if (tiles.size() > kMaxTiles)
            return fail(Errc::InvalidArgument, "tile=", tile.width_px, "x", tile.height_px,
                        " cuts this frame into ", tiles.size(), " parts, more than ", kMaxTiles,
                        ": use larger tiles or a region.");
        if (tiles.size() > 1)
            parts.insert(parts.end(), tiles.begin(), tiles.end());
    }
    DetectOptions all = options;
    all.max_faces = 0; // the best of all parts, not of each
    std::vector<Face> faces;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        RectI part = parts[i];
        const ImageView view = view_of_part(frame, part);
        auto found = detector.detect(view, all, timing);
        if (!found)
            return std::move(found).error();
        for (Face &face : *found) {
            shift(face, part);
            if (i > 0 && is_cut(face.box, part, area))
                continue;
            if (regions.contains(centre(face.box), frame.width, frame.height))
                faces.push_back(std::move(face));
        }
    }
    if (parts.size() > 1)
        faces = merged(std::move(faces));
    if (options.max_faces > 0 && std::ssize(faces) > options.max_faces)
        faces.resize(static_cast<std::size_t>(options.max_faces));
    return faces;
}

} // namespace sphere
