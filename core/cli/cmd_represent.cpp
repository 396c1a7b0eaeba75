// SPDX-License-Identifier: MIT
// spherectl represent: embeddings of the faces in picture files, as JSON or NumPy array.
#include "core/cli/command.h"
#include "core/cli/face_session.h"
#include "core/cli/files.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

#include <bit>
#include <cmath>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Score);
    specs.push_back(kFlipOption);
    specs.push_back({"npy", "FILE", "write float32 [n, dims] there; FILE.tsv names the rows"});
    return specs;
}

void append_float(std::string &bytes, float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8)
        bytes.push_back(static_cast<char>(bits >> shift & 0xFF));
}

/// A TSV field: no tab or line end may break the row.
std::string tsv_field(const std::string &text) {
    std::string field;
    for (const char c : text) {
        if (c == '\t')
            field += "\\t";
        else if (c == '\n')
            field += "\\n";
        else if (c == '\r')
            field += "\\r";
        else if (c == '\\')
            field += "\\\\";
        else
            field += c;
    }
    return field;
}

/// Rows of the array and of its table, collected.
class Table {
  public:
    void add(const std::string &path, std::size_t index, const Face &face) {
        for (const float value : face.embedding->values)
            append_float(data_, value);
        rows_ += tsv_field(path) + "\t" + std::to_string(index) + "\t" + fixed(face.box.x, 2) +
                 "," + fixed(face.box.y, 2) + "," + fixed(face.box.w, 2) + "," +
                 fixed(face.box.h, 2) + "\n";
        ++count_;
    }

    Result<void> write(const std::string &path, int dims) const {
        SPHERE_TRY(write_whole(path, header(dims) + data_));
        return write_whole(path + ".tsv", rows_);
    }

  private:
    /// NumPy's format, version 1.0: magic, version, length, a Python dictionary padded so that
    /// the data starts at a multiple of 64 bytes (numpy.lib.format).
    std::string header(int dims) const {
        std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                           std::to_string(count_) + ", " + std::to_string(dims) + "), }";
        constexpr std::size_t kPrefix = 10;
        while ((kPrefix + text.size() + 1) % 64 != 0)
            text += ' ';
        text += '\n';
        std::string bytes("\x93NUMPY\x01\x00", 8);
        bytes += static_cast<char>(text.size() & 0xFF);
        bytes += static_cast<char>(text.size() >> 8 & 0xFF);
        return bytes + text;
    }

    std::size_t count_ = 0;
    std::string data_;
    std::string rows_;
};

Json to_json(const Photo &photo, const EmbeddingStamp &stamp) {
    Json faces = Json::array();
    for (const Face &face : photo.faces) {
        Json embedding;
        if (face.embedding) {
            std::vector<double> data;
            for (const float value : face.embedding->values)
                data.push_back(tidy(value));
            embedding = {{"model", stamp.model}, {"dims", stamp.dims}, {"data", data}};
        }
        const auto landmarks = landmark_numbers(face);
        const bool passed_over = face.reason != FaceReason::None;
        faces.push_back({{"box", box_numbers(face.box)},
                         {"score", tidy(face.score)},
                         {"landmarks", landmarks.empty() ? Json() : Json(landmarks)},
                         {"reason", passed_over ? Json(face_reason_name(face.reason)) : Json()},
                         {"embedding", embedding}});
    }
    return {{"path", photo.path},
            {"width", photo.image.width},
            {"height", photo.image.height},
            {"faces", faces}};
}

void print_text(const Photo &photo) {
    for (std::size_t i = 0; i < photo.faces.size(); ++i) {
        const Face &face = photo.faces[i];
        std::string line =
            photo.path + "  face " + std::to_string(i) + "  box " + box_text(face.box);
        if (face.embedding) {
            const auto &values = face.embedding->values;
            double squares = 0;
            for (const float value : values)
                squares += static_cast<double>(value) * value;
            line += "  " + std::to_string(values.size()) + " numbers, norm " +
                    fixed(std::sqrt(squares), 3) + ":";
            for (std::size_t d = 0; d < values.size() && d < 4; ++d)
                line += " " + fixed(values[d], 4);
            if (values.size() > 4)
                line += " …";
        } else {
            line += std::string("  no embedding: ") + face_reason_name(face.reason);
        }
        print_line(line);
    }
}

/// Finds and embeds all faces of a picture. NotFound: not one could be embedded.
Result<Photo> represent(const FaceSession &session, const std::string &path) {
    auto photo = session.detect(path);
    if (!photo)
        return photo;
    std::vector<Face *> faces;
    for (Face &face : photo->faces)
        faces.push_back(&face);
    SPHERE_TRY(session.embed(*photo, faces));
    if (faces.empty())
        return no_face(path);
    std::size_t embedded = 0;
    for (std::size_t i = 0; i < faces.size(); ++i) {
        if (faces[i]->embedding)
            ++embedded;
        else
            print_warning(path + ": face " + std::to_string(i) + " at " +
                          box_text(faces[i]->box) + " has no embedding (" +
                          face_reason_name(faces[i]->reason) + ")");
    }
    if (embedded == 0)
        return fail(Errc::NotFound, path,
                    ": no face of it can be embedded; use another picture or another detector");
    return photo;
}

Result<int> run(const Context &context) {
    const auto &paths = context.arguments.positionals();
    if (paths.empty())
        return fail(Errc::InvalidArgument,
                    "represent: no picture given; usage: spherectl represent IMAGE…");
    std::string npy;
    if (context.arguments.has("npy")) {
        auto file = context.arguments.required("npy", "give the file to write");
        if (!file)
            return std::move(file).error();
        npy = *file;
    }
    auto session_options = read_session_options(context.arguments, ThresholdMeans::Score);
    if (!session_options)
        return std::move(session_options).error();
    auto session = FaceSession::open(*session_options);
    if (!session)
        return std::move(session).error();

    std::vector<Failure> failures;
    Json images = Json::array();
    Table table;
    Progress progress("represent", paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
        progress.update(i);
        auto photo = represent(*session, paths[i]);
        if (!photo) {
            note_failure(failures, paths[i], std::move(photo).error());
            continue;
        }
        for (std::size_t f = 0; f < photo->faces.size() && !npy.empty(); ++f)
            if (photo->faces[f].embedding)
                table.add(paths[i], f, photo->faces[f]);
        if (context.json)
            images.push_back(to_json(*photo, session->stamp()));
        else
            print_text(*photo);
    }
    if (!npy.empty())
        SPHERE_TRY(table.write(npy, session->stamp().dims));
    if (context.json)
        print_line(Json{{"images", images},
                        {"failed", failure_rows(failures)},
                        {"model", session->stamp().model},
                        {"dims", session->stamp().dims},
                        {"flip", session->stamp().flip},
                        {"detector", session->detector_name()}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    return exit_code_with(failures, kExitDone);
}

} // namespace

const Command kRepresentCommand = {
    "represent",
    "turn the faces in pictures into embeddings",
    "[OPTION…] IMAGE…",
    "Embeds every face: the network's raw output. --json and --npy give all numbers, the text\n"
    "the first ones. FILE.tsv has a line a row of the array: path, index of the face in its\n"
    "picture, box as x,y,w,h. A picture without a face is an error; the others are done.",
    "spherectl represent --npy faces.npy photo.jpg",
    &options,
    &run,
};

} // namespace sphere::cli
