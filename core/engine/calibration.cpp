// SPDX-License-Identifier: MIT
// Calibrations as files.
#include "core/engine/calibration.h"

#include "core/base/sha256.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <unistd.h>

namespace sphere {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxBytes = 4U << 20;
constexpr std::size_t kMaxRanges = 8192;
constexpr std::int64_t kMaxCount = 1'000'000'000;
constexpr double kMaxLandmarkError = 1000;
constexpr double kMaxValue = std::numeric_limits<float>::max(); ///< of a range's ends

std::string file_name(const ResolvedModel &model) {
    return model.descriptor.name + ".int8.json";
}

fs::path beside(const ResolvedModel &model) {
    return fs::path(model.path_of("weights")).parent_path() / file_name(model);
}

Result<std::string> sha256_of(const ResolvedModel &model) {
    if (!model.sha256.empty())
        return model.sha256;
    return sha256_of_file(model.path_of("weights"));
}

Error corrupt(const std::string &path, const std::string &what) {
    return fail(Errc::Corrupt, path, ": ", what, "; remove it or run spherectl quantize anew.");
}

// What is of the file's, as a message shows it: in one line of a length.
std::string shown(std::string_view text) {
    constexpr std::size_t kMost = 200;
    std::string line(text.substr(0, kMost));
    std::replace_if(
        line.begin(), line.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return line;
}

constexpr struct {
    const char *name;
    int FaceAgreement::*member;
} kFaceCounts[] = {{"fp32", &FaceAgreement::fp32},
                   {"int8", &FaceAgreement::int8},
                   {"agreed", &FaceAgreement::agreed}};
constexpr struct {
    const char *name;
    double FaceAgreement::*member;
    double most;
} kFaceMeasures[] = {{"iou", &FaceAgreement::iou, 1},
                     {"landmarks_mean", &FaceAgreement::landmarks_mean, kMaxLandmarkError},
                     {"landmarks_p95", &FaceAgreement::landmarks_p95, kMaxLandmarkError},
                     {"score_mean", &FaceAgreement::score_mean, 1}};

// An integer of 0 to kMaxCount; -1 where it is something else.
int count_of(const Json &json) {
    if (!json.is_number_integer())
        return -1;
    // What does not fit is negative then, or too large all the same.
    const auto value = json.get<std::int64_t>();
    return value >= 0 && value <= kMaxCount ? static_cast<int>(value) : -1;
}

// False where a number is out of its bounds.
bool parse_faces(const Json &json, FaceAgreement &faces) {
    for (const auto &count : kFaceCounts) {
        faces.*count.member = count_of(json.at(count.name));
        if (faces.*count.member < 0)
            return false;
    }
    for (const auto &measure : kFaceMeasures) {
        const double value = json.at(measure.name).get<double>();
        if (!(value >= 0 && value <= measure.most)) // NaN is refused, too
            return false;
        faces.*measure.member = value;
    }
    return faces.agreed <= std::min(faces.fp32, faces.int8);
}

Json faces_json(const FaceAgreement &faces) {
    Json json = Json::object();
    for (const auto &count : kFaceCounts)
        json[count.name] = faces.*count.member;
    for (const auto &measure : kFaceMeasures)
        json[measure.name] = std::min(faces.*measure.member, measure.most);
    return json;
}

Result<Int8Calibration> parse(const std::string &path, const Json &json) {
    if (!json.is_object() || json.value("schema", "") != "sphere.int8/1")
        return corrupt(path, "it is not an int8 calibration (schema sphere.int8/1)");
    Int8Calibration result;
    result.model = json.value("model", "");
    result.sha256 = json.value("sha256", "");
    result.pictures = count_of(json.value("pictures", Json(0)));
    if (result.pictures < 0)
        return corrupt(path, "its pictures are no number");
    result.weight_bits = count_of(json.value("weight_bits", Json(8))); // older files have none
    if (result.weight_bits != 7 && result.weight_bits != 8)
        return corrupt(path, "weight_bits is neither 7 nor 8");
    result.cosine = json.value("cosine", 0.0);
    result.int8_products = json.value("int8_products", 0.0);
    if (json.contains("faces") && !parse_faces(json["faces"], result.faces.emplace()))
        return corrupt(path, "what it says of faces cannot be");
    const Json &ranges = json.at("ranges"), &nodes = json.at("fp32");
    if (!ranges.is_object() || ranges.size() > kMaxRanges || nodes.size() > kMaxRanges)
        return corrupt(path, "its ranges are not a table");
    for (const auto &[name, pair] : ranges.items()) {
        const double low = pair.at(0).get<double>(), high = pair.at(1).get<double>();
        if (!(std::abs(low) <= kMaxValue && std::abs(high) <= kMaxValue && low <= high))
            return corrupt(path, "the range of " + shown(name) + " is no range");
        result.ranges[name] = {static_cast<float>(low), static_cast<float>(high)};
    }
    for (const Json &node : nodes)
        result.fp32_nodes.insert(node.get<std::string>());
    return result;
}

Result<Int8Calibration> read(const fs::path &path) {
    std::error_code error;
    if (fs::file_size(path, error) > kMaxBytes || error)
        return corrupt(path.string(), "it is too large or cannot be read");
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    return parse_calibration(text, path.string());
}

Error cannot_write(const fs::path &path, int number) {
    const Errc code = number == EACCES || number == EROFS || number == EPERM ? Errc::Permission
                      : number == ENOSPC                                     ? Errc::NoSpace
                                                                             : Errc::Io;
    return fail(code, path.string(), ": cannot be written: ", std::strerror(number), ".");
}

// To a neighbour that then takes the name, so that the file is always whole.
Result<void> write(const fs::path &path, const std::string &text) {
    const std::string part = path.string() + ".part" + std::to_string(getpid());
    {
        errno = 0;
        std::ofstream file(part, std::ios::binary | std::ios::trunc);
        file << text;
        file.flush();
        if (!file) {
            const int number = errno != 0 ? errno : EIO;
            unlink(part.c_str());
            return cannot_write(path, number);
        }
    }
    if (std::rename(part.c_str(), path.c_str()) != 0) {
        const int number = errno;
        unlink(part.c_str());
        return cannot_write(path, number);
    }
    return {};
}

} // namespace

double FaceAgreement::share() const {
    const int most = std::max(fp32, int8);
    return most > 0 ? static_cast<double>(agreed) / most : 0;
}

bool int8_is_accurate(const Int8Calibration &calibration, ModelTask task) {
    if (task != ModelTask::Detect)
        return calibration.cosine >= kInt8LeastCosine;
    const auto &faces = calibration.faces;
    return faces && faces->share() >= kInt8LeastFaceShare && faces->iou >= kInt8LeastIou &&
           faces->landmarks_mean <= kInt8MostLandmarkError;
}

Result<Int8Calibration> parse_calibration(std::string_view text, const std::string &path) {
    if (text.size() > kMaxBytes)
        return corrupt(path, "it is too large");
    try {
        return parse(path, Json::parse(text));
    } catch (const std::exception &exception) {
        return corrupt(path, shown(exception.what()));
    }
}

Result<Int8Calibration> load_calibration(const ResolvedModel &model) {
    const std::string remedy =
        "spherectl quantize --model " + model.descriptor.name + " --images DIR";
    for (const fs::path &path :
         {beside(model), fs::path(ModelStore::user_directory()) / file_name(model)}) {
        std::error_code error;
        if (!fs::is_regular_file(path, error))
            continue;
        auto result = read(path);
        if (!result)
            return result;
        auto sha256 = sha256_of(model);
        if (!sha256)
            return std::move(sha256).error();
        if (result->sha256 != *sha256)
            return fail(Errc::Mismatch, path.string(), ": was made of other weights (sha256 ",
                        result->sha256.substr(0, 12), "… where ", model.path_of("weights"),
                        " has ", sha256->substr(0, 12), "…): run ", remedy, " anew.");
        return result;
    }
    return fail(Errc::NotFound, "Model ", model.descriptor.name,
                " has no int8 calibration: run ", remedy,
                ", or set precision=fp32 or precision=auto.");
}

Result<std::string> save_calibration(const ResolvedModel &model,
                                     const Int8Calibration &calibration) {
    Json ranges = Json::object();
    for (const auto &[name, range] : calibration.ranges)
        ranges[name] = {range.low, range.high};
    Json json = {{"schema", "sphere.int8/1"},
                 {"model", calibration.model},
                 {"sha256", calibration.sha256},
                 {"pictures", calibration.pictures},
                 {"weight_bits", calibration.weight_bits}};
    if (calibration.faces)
        json["faces"] = faces_json(*calibration.faces);
    else
        json["cosine"] = calibration.cosine;
    json["int8_products"] = calibration.int8_products;
    json["fp32"] = calibration.fp32_nodes;
    json["ranges"] = std::move(ranges);
    const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
    const fs::path first = beside(model);
    const auto written = write(first, text);
    if (written)
        return first.string();
    const fs::path folder = ModelStore::user_directory();
    if (folder.empty())
        return written.error();
    std::error_code error;
    fs::create_directories(folder, error);
    const fs::path second = folder / file_name(model);
    SPHERE_TRY(write(second, text));
    return second.string();
}

} // namespace sphere
