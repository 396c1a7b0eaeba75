// SPDX-License-Identifier: MIT
// Where in a frame faces are looked for: regions of interest, and tiles for small faces in
// large frames.
#pragma once

#include "core/base/result.h"
#include "core/face/detector.h"
#include "core/image/resize.h"

#include <string>
#include <string_view>
#include <vector>

namespace sphere {

/// Rectangles and polygons of a frame. Immutable after parsing; thread-safe.
class Regions {
  public:
    /// "X,Y,W,H" is a rectangle; "X,Y X,Y X,Y …" a polygon of 3 to 64 points; several are
    /// separated by ';' (at most 64). Numbers are pixels of the frame, or shares of its width
    /// and height with a '%' ("0%,50%,100%,50%" is the lower half). Empty = the whole frame.
    /// Errors: InvalidArgument, naming the part.
    static Result<Regions> parse(std::string_view text);

    bool whole_frame() const { return shapes_.empty(); }
    /// The smallest rectangle of the frame that holds all regions; w or h is 0 where they all
    /// lie outside it.
    RectI bounds(int frame_width, int frame_height) const;
    /// Whether a point lies in one of them (even-odd rule; a border counts as inside).
    bool contains(Point2f point, int frame_width, int frame_height) const;

  private:
    struct Number {
        double value = 0;
        bool percent = false;
        double in(int side_px) const { return percent ? value * side_px / 100 : value; }
    };
    struct Corner {
        Number x, y;
    };
    struct Shape {
        bool rectangle = false; ///< two corners: left top, and width and height
        std::vector<Corner> corners;
    };
    static Result<Shape> parse_shape(std::string_view text);
    static Result<Number> parse_number(std::string_view text);
    static std::vector<Point2f> outline(const Shape &shape, int width, int height);

    std::vector<Shape> shapes_;
};

/// The size of tiles, px of the frame; 0 = none.
struct TileSize {
    int width_px = 0;
    int height_px = 0;
    bool operator==(const TileSize &) const = default;
};
/// "none" or "", or WIDTHxHEIGHT (64 to 8192 each). Errors: InvalidArgument.
Result<TileSize> parse_tile(std::string_view text);

/// Share of a tile's side that it has in common with its neighbour: a face smaller than that is
/// whole in one of them.
inline constexpr double kTileOverlap = 0.25;

/// Tiles of about the given size that cover `area`, all of one size, overlapping by at least
/// kTileOverlap; one, the area itself, where it is no larger than a tile. x and y are even.
std::vector<RectI> tiles_of(const RectI &area, const TileSize &tile);

/// A part of a picture. `part` must lie inside it, with even x and y for subsampled formats
/// (one more column or row is taken where they are odd; `part` is set to what was taken).
ImageView view_of_part(const ImageView &frame, RectI &part);

/// Most tiles of one frame.
inline constexpr std::size_t kMaxTiles = 256;

/// detector.detect() within the regions: their bounding rectangle is what the network sees, and
/// faces whose box has its centre in none of them are left out. With tiles, each tile is looked
/// at as well as the whole; what is cut by the border between tiles is left to the neighbour,
/// and what is found twice is kept once. Thread-safe as the detector is. Errors: the
/// detector's; InvalidArgument where the frame needs more than kMaxTiles tiles.
Result<std::vector<Face>> detect_in_areas(Detector &detector, const ImageView &frame,
                                          const DetectOptions &options, const Regions &regions,
                                          const TileSize &tile, DetectTiming *timing = nullptr);

} // namespace sphere
