// SPDX-License-Identifier: MIT
// The sheet of spherectl detect --compare.
#include "core/cli/detect_compare.h"

#include "core/cli/canvas.h"
#include "core/cli/output.h"
#include "core/image/codec.h"

#include <algorithm>
#include <array>

namespace sphere::cli {
namespace {

constexpr std::size_t kColumns = 4;
constexpr int kTileWidthPx = 480;
constexpr int kMostTileHeightPx = 480;
constexpr int kCaptionPx = kTextHeightPx + 8;
constexpr std::size_t kMostTiles = 200; ///< 46 megapixels
constexpr Bgr kWhite{255, 255, 255};
constexpr Bgr kGreen{60, 220, 60};
/// Left and right eye as the picture shows them, nose, left and right corner of the mouth.
constexpr std::array<Bgr, 5> kPointColours{
    {{40, 40, 255}, {255, 120, 40}, {0, 255, 255}, {40, 40, 255}, {255, 120, 40}}};
constexpr float kSmallFacePx = 24; ///< in the tile; its marks must not cover it

std::vector<std::string> detectors_of(const std::string &wanted) {
    std::vector<std::string> names;
    if (wanted != "auto") {
        for (std::size_t from = 0; from <= wanted.size();) {
            const std::size_t to = std::min(wanted.find(',', from), wanted.size());
            if (to > from)
                names.push_back(wanted.substr(from, to - from));
            from = to + 1;
        }
        return names;
    }
    const ModelStore store = ModelStore::from_environment();
    for (const ModelDescriptor &model : store.list())
        if (model.task == ModelTask::Detect && model.framework != "fake" &&
            store.installed(model))
            names.push_back(model.name);
    return names;
}

Result<Image> draw_tile(const Photo &photo, const Compared &compared) {
    const double scale = std::min(static_cast<double>(kTileWidthPx) / photo.image.width,
                                  static_cast<double>(kMostTileHeightPx) / photo.image.height);
    const auto side = [scale](int px) {
        return std::max(1, static_cast<int>(px * scale + 0.5));
    };
    auto tile = resize_to_bgr(photo.image.view(), {0, 0, photo.image.width, photo.image.height},
                              side(photo.image.width), side(photo.image.height));
    if (!tile)
        return tile;
    const auto scaled = [scale](float value) { return static_cast<float>(value * scale); };
    for (const Face &face : compared.faces) {
        const Box box{scaled(face.box.x), scaled(face.box.y), scaled(face.box.w),
                      scaled(face.box.h)};
        const bool small = box.h < kSmallFacePx;
        draw_box(*tile, box, small ? 1 : 2, kGreen);
        if (face.landmarks)
            for (std::size_t i = 0; i < kPointColours.size(); ++i) {
                const Point2f &point = (*face.landmarks)[i];
                draw_point(*tile, {scaled(point.x), scaled(point.y)}, small ? 0 : 1,
                           kPointColours[i]);
            }
    }
    return tile;
}

/// One picture's tiles below each other, kColumns a row.
struct Sheet {
    std::vector<Image> tiles;
    std::vector<std::string> captions;

    void end_of_picture() {
        while (tiles.size() % kColumns != 0 && tiles.size() > kColumns) {
            tiles.emplace_back();
            captions.emplace_back();
        }
    }

    Image draw() const {
        const std::size_t rows = (tiles.size() + kColumns - 1) / kColumns;
        std::vector<int> heights(rows);
        int total = 0;
        for (std::size_t i = 0; i < tiles.size(); ++i)
            heights[i / kColumns] = std::max(heights[i / kColumns], tiles[i].height);
        for (const int height : heights)
            total += height + kCaptionPx;
        const auto columns = static_cast<int>(std::min(kColumns, tiles.size()));
        Image sheet(columns * kTileWidthPx, total);
        for (std::size_t i = 0, row = 0, y = 0; i < tiles.size(); ++i) {
            if (i / kColumns != row)
                y += static_cast<std::size_t>(heights[row++] + kCaptionPx);
            const int x = static_cast<int>(i % kColumns) * kTileWidthPx;
            draw_text(sheet, x + 4, static_cast<int>(y) + 4, captions[i], kWhite);
            paste(sheet, x, static_cast<int>(y) + kCaptionPx, tiles[i]);
        }
        return sheet;
    }
};

Result<void> add_detector(const SessionOptions &options, const std::vector<std::string> &paths,
                          const std::string &name, std::vector<Compared> &results,
                          std::vector<Image> &tiles) {
    SessionOptions own = options;
    own.detector = name;
    auto session = FaceSession::open_detector(own);
    if (!session) {
        print_warning(name + ": " + session.error().message);
        return {};
    }
    for (const std::string &path : paths) {
        auto photo = session->detect(path);
        if (!photo)
            return std::move(photo).error();
        Compared compared;
        auto faces = session->detect_again(*photo, compared.ms);
        if (!faces)
            return std::move(faces).error();
        compared.detector = name;
        compared.path = path;
        compared.faces = std::move(*faces);
        auto tile = draw_tile(*photo, compared);
        if (!tile)
            return std::move(tile).error();
        results.push_back(std::move(compared));
        tiles.push_back(std::move(*tile));
    }
    return {};
}

} // namespace

Result<std::vector<Compared>> compare_detectors(const SessionOptions &options,
                                                const std::vector<std::string> &paths,
                                                const std::string &out) {
    const std::vector<std::string> names = detectors_of(options.detector);
    if (names.size() * paths.size() > kMostTiles)
        return fail(Errc::InvalidArgument, "detect --compare: ", names.size(), " detectors on ",
                    paths.size(), " pictures are more than ", kMostTiles,
                    " tiles; give fewer pictures");
    std::vector<Compared> results;
    std::vector<Image> tiles;
    Progress progress("compare", names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        progress.update(i);
        SPHERE_TRY(add_detector(options, paths, names[i], results, tiles));
    }
    if (results.empty())
        return fail(Errc::NotFound, "detect --compare: no detector is installed; get one "
                                    "with: spherectl models fetch yunet-640");
    Sheet sheet; // picture by picture
    const std::size_t detectors = results.size() / paths.size();
    for (std::size_t p = 0; p < paths.size(); ++p, sheet.end_of_picture())
        for (std::size_t d = 0; d < detectors; ++d) {
            const std::size_t i = d * paths.size() + p;
            sheet.tiles.push_back(std::move(tiles[i]));
            sheet.captions.push_back(results[i].detector + ": " +
                                     std::to_string(results[i].faces.size()) + ", " +
                                     fixed(results[i].ms, 1) + " ms");
        }
    SPHERE_TRY(write_image(out, sheet.draw()));
    return results;
}

} // namespace sphere::cli
