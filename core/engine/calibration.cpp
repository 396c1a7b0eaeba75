// SPDX-License-Identifier: MIT
// Calibrations as files.
#include "core/engine/calibration.h"

#include "core/base/sha256.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace sphere {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxBytes = 4U << 20;
constexpr std::size_t kMaxRanges = 8192;

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

Error corrupt(const fs::path &path, const std::string &what) {
    return fail(Errc::Corrupt, path.string(), ": ", what,
                "; remove it or run spherectl quantize anew.");
}

Result<Int8Calibration> parse(const fs::path &path, const Json &json) {
    if (!json.is_object() || json.value("schema", "") != "sphere.int8/1")
        return corrupt(path, "it is not an int8 calibration (schema sphere.int8/1)");
    Int8Calibration result;
    result.model = json.value("model", "");
    result.sha256 = json.value("sha256", "");
    result.pictures = json.value("pictures", 0);
    result.weight_bits = json.value("weight_bits", 8); // older files have none
    if (result.weight_bits != 7 && result.weight_bits != 8)
        return corrupt(path, "weight_bits is neither 7 nor 8");
    result.cosine = json.value("cosine", 0.0);
    const Json &ranges = json.at("ranges"), &nodes = json.at("fp32");
    if (!ranges.is_object() || ranges.size() > kMaxRanges || nodes.size() > kMaxRanges)
        return corrupt(path, "its ranges are not a table");
    for (const auto &[name, pair] : ranges.items()) {
        const ValueRange range{pair.at(0).get<float>(), pair.at(1).get<float>()};
        if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.low > range.high)
            return corrupt(path, "the range of " + name + " is no range");
        result.ranges[name] = range;
    }
    for (const Json &node : nodes)
        result.fp32_nodes.insert(node.get<std::string>());
    return result;
}

Result<Int8Calibration> read(const fs::path &path) {
    std::error_code error;
    if (fs::file_size(path, error) > kMaxBytes || error)
        return corrupt(path, "it is too large or cannot be read");
    std::ifstream file(path);
    try {
        return parse(path, Json::parse(file));
    } catch (const std::exception &exception) {
        return corrupt(path, exception.what());
    }
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
    const Json json = {{"schema", "sphere.int8/1"},
                       {"model", calibration.model},
                       {"sha256", calibration.sha256},
                       {"pictures", calibration.pictures},
                       {"weight_bits", calibration.weight_bits},
                       {"cosine", calibration.cosine},
                       {"fp32", calibration.fp32_nodes},
                       {"ranges", ranges}};
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
