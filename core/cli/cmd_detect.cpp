// SPDX-License-Identifier: MIT
// spherectl detect: the faces in picture files.
#include "core/cli/command.h"
#include "core/cli/detect_compare.h"
#include "core/cli/face_session.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Score);
    specs.push_back(
        {"nms-threshold", "IOU", "overlap above which the lesser of two faces goes"});
    specs.push_back({"min-face-size", "PX", "leave out faces whose shorter side is less"});
    specs.push_back({"max-faces", "N", "the best N of a picture; 0 = all"});
    specs.push_back({"compare", "FILE", "all detectors side by side, as PNG or JPEG"});
    return specs;
}

Json to_json(const Photo &photo) {
    Json faces = Json::array();
    for (const Face &face : photo.faces) {
        const auto landmarks = landmark_numbers(face);
        faces.push_back({{"box", box_numbers(face.box)},
                         {"score", tidy(face.score)},
                         {"landmarks", landmarks.empty() ? Json() : Json(landmarks)}});
    }
    return {{"path", photo.path},
            {"width", photo.image.width},
            {"height", photo.image.height},
            {"faces", faces}};
}

void print_text(const Photo &photo) {
    if (photo.faces.empty())
        print_line(photo.path + "  no face");
    for (std::size_t i = 0; i < photo.faces.size(); ++i) {
        const Face &face = photo.faces[i];
        std::string line = photo.path + "  face " + std::to_string(i) + "  box " +
                           box_text(face.box) + "  score " + fixed(face.score, 3);
        if (face.landmarks) {
            line += "  landmarks";
            for (const Point2f &point : *face.landmarks)
                line += " " + fixed(point.x, 1) + "," + fixed(point.y, 1);
        }
        print_line(line);
    }
}

Result<SessionOptions> read_options(const Arguments &arguments) {
    auto session = read_session_options(arguments, ThresholdMeans::Score);
    if (!session)
        return session;
    auto nms = arguments.number("nms-threshold", -1, 0, 1);
    if (!nms)
        return std::move(nms).error();
    session->detect.nms_threshold = static_cast<float>(*nms);
    auto size = arguments.number("min-face-size", 0, 0, 1e6);
    if (!size)
        return std::move(size).error();
    session->detect.min_face_size_px = static_cast<float>(*size);
    auto most = arguments.integer("max-faces", 0, 0, 1'000'000);
    if (!most)
        return std::move(most).error();
    session->detect.max_faces = *most;
    return session;
}

Result<int> compare(const Context &context, const SessionOptions &options) {
    auto file = context.arguments.required("compare", "give the picture to write");
    if (!file)
        return std::move(file).error();
    auto results = compare_detectors(options, context.arguments.positionals(), *file);
    if (!results)
        return std::move(results).error();
    Json rows = Json::array();
    for (const Compared &row : *results) {
        if (!context.json)
            print_line(row.path + "  " + row.detector + "  " +
                       std::to_string(row.faces.size()) + " faces  " + fixed(row.ms, 1) +
                       " ms");
        rows.push_back({{"path", row.path},
                        {"detector", row.detector},
                        {"faces", row.faces.size()},
                        {"ms", row.ms}});
    }
    if (context.json)
        print_line(Json{{"compared", rows}, {"sheet", *file}}.dump(
            -1, ' ', false, Json::error_handler_t::replace));
    return kExitDone;
}

Result<int> run(const Context &context) {
    const auto &paths = context.arguments.positionals();
    if (paths.empty())
        return fail(Errc::InvalidArgument,
                    "detect: no picture given; usage: spherectl detect IMAGE…");
    auto session_options = read_options(context.arguments);
    if (!session_options)
        return std::move(session_options).error();
    if (context.arguments.has("compare"))
        return compare(context, *session_options);
    auto session = FaceSession::open_detector(*session_options);
    if (!session)
        return std::move(session).error();

    std::vector<Failure> failures;
    Json images = Json::array();
    Progress progress("detect", paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
        progress.update(i);
        auto photo = session->detect(paths[i]);
        if (!photo)
            note_failure(failures, paths[i], std::move(photo).error());
        else if (context.json)
            images.push_back(to_json(*photo));
        else
            print_text(*photo);
    }
    if (context.json)
        print_line(Json{{"images", images},
                        {"failed", failure_rows(failures)},
                        {"detector", session->detector_name()}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    return exit_code_with(failures, kExitDone);
}

} // namespace

const Command kDetectCommand = {
    "detect",
    "find the faces in pictures",
    "[OPTION…] IMAGE…",
    "Prints a line a face: box (left,top width x height, in pixels), score and five landmarks\n"
    "(eye, eye, nose, mouth corner, mouth corner; the image-left one first). A picture "
    "without\n"
    "a face is no error. --compare runs every installed detector and draws them side by "
    "side;\n--detector A,B picks some.",
    "spherectl detect --json photo.jpg",
    &options,
    &run,
};

} // namespace sphere::cli
