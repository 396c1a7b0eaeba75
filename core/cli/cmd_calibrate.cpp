// SPDX-License-Identifier: MIT
// spherectl calibrate: a threshold for a model, from labelled pairs.
#include "core/cli/command.h"
#include "core/cli/files.h"
#include "core/cli/output.h"
#include "core/cli/pairs.h"
#include "core/cli/plot.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Score);
    specs.push_back({"pairs", "FILE", "CSV with file_x, file_y, decision, or LFW pairs"});
    specs.push_back({"images", "DIR", "the folder that the pictures are in"});
    specs.push_back({"far", "RATE",
                     "also the threshold that accepts this share of different "
                     "pairs (default 0.001)"});
    specs.push_back({"plot", "FILE.svg", "draw both distributions and the ROC there"});
    specs.push_back({"distances", "FILE.csv", "write the distance of each pair there"});
    specs.push_back(kMetricOption);
    specs.push_back(kFlipOption);
    return specs;
}

struct Calibration {
    std::string metric;
    std::size_t same = 0;
    std::size_t different = 0;
    C45Split split;
    double accuracy = 0;
    double far = 0;
    OperatingPoint at_far;
};

void print_result(const Context &context, const Calibration &result, const FaceSession &session,
                  std::span<const Failure> failures) {
    if (context.json) {
        Json failed = Json::array();
        for (const Failure &failure : failures)
            failed.push_back(failure.path);
        print_line(Json{
            {"model", session.stamp().model},
            {"detector", session.detector_name()},
            {"metric", result.metric},
            {"flip", session.stamp().flip},
            {"pairs", result.same + result.different},
            {"same", result.same},
            {"threshold", result.split.threshold},
            {"gain", result.split.gain},
            {"gain_ratio", result.split.gain_ratio},
            {"accuracy", result.accuracy},
            {"far",
             {{"rate", result.far},
              {"threshold", result.at_far.threshold},
              {"true_accept", result.at_far.true_accept},
              {"false_accept", result.at_far.false_accept}}},
            {"failed_images",
             failed}}.dump(-1, ' ', false, Json::error_handler_t::replace));
        return;
    }
    print_line("model       " + session.stamp().model + ", flip " + session.stamp().flip +
               ", " + result.metric + ", detector " + session.detector_name());
    print_line("pairs       " + std::to_string(result.same + result.different) + ", " +
               std::to_string(result.same) + " of them same; " +
               std::to_string(failures.size()) + " pictures failed");
    print_line("threshold   " + fixed(result.split.threshold, 6) + " by C4.5 (gain ratio " +
               fixed(result.split.gain_ratio, 4) + ", accuracy " + fixed(result.accuracy, 4) +
               ")");
    print_line("            " + fixed(result.at_far.threshold, 6) +
               " at a false-accept rate of " + fixed(result.far, 6) +
               " or less (true-accept rate " + fixed(result.at_far.true_accept, 4) + ")");
}

Result<Calibration> calibrate(std::span<const ScoredPair> all, double far) {
    std::vector<ScoredPair> pairs;
    std::copy_if(all.begin(), all.end(), std::back_inserter(pairs),
                 [](const ScoredPair &pair) { return !pair.failed; });
    const auto split = c45_split(pairs);
    const auto point = at_false_accept_rate(pairs, far);
    if (!split || !point)
        return fail(Errc::InvalidArgument,
                    "calibrate: both same and different pairs, at different distances, are "
                    "needed; add some of the kind that is missing");
    Calibration result;
    for (const ScoredPair &pair : pairs)
        (pair.same ? result.same : result.different) += 1;
    result.split = *split;
    result.accuracy = accuracy_at(pairs, split->threshold);
    result.far = far;
    result.at_far = *point;
    return result;
}

/// What the files are called is looked at before an hour of embedding.
Result<void> check_outputs(const Arguments &arguments) {
    if (arguments.has("plot") && !arguments.text("plot").ends_with(".svg"))
        return fail(Errc::InvalidArgument, "--plot=", arguments.text("plot"),
                    ": plots are SVG: give a name that ends in .svg");
    if (arguments.has("distances") && arguments.text("distances").empty())
        return fail(Errc::InvalidArgument, "--distances is empty: give the file to write");
    return {};
}

std::string plot_of(const Calibration &result, std::span<const ScoredPair> pairs,
                    const FaceSession &session) {
    std::size_t accepted_same = 0;
    std::size_t accepted_different = 0;
    for (const ScoredPair &pair : pairs)
        if (!pair.failed && pair.distance <= result.split.threshold)
            (pair.same ? accepted_same : accepted_different) += 1;
    CalibrationPlot plot;
    plot.title = session.stamp().model + ", flip " + session.stamp().flip + ", " +
                 session.detector_name() + ": " + std::to_string(result.same) + " same and " +
                 std::to_string(result.different) + " different pairs";
    plot.distance_label = result.metric + " distance";
    plot.pairs = pairs;
    plot.thresholds = {
        {"C4.5: " + fixed(result.split.threshold, 4), result.split.threshold,
         static_cast<double>(accepted_same) / static_cast<double>(result.same),
         static_cast<double>(accepted_different) / static_cast<double>(result.different)},
        {"false accepts of " + fixed(result.far, 4) +
             " at most: " + fixed(result.at_far.threshold, 4),
         result.at_far.threshold, result.at_far.true_accept, result.at_far.false_accept}};
    return calibration_svg(plot);
}

/// A field of CSV: quoted where it must be.
std::string csv_field(const std::string &text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos)
        return text;
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

/// The columns of the input, and the distance; empty where a picture failed.
std::string csv_of(const PairList &list, std::span<const ScoredPair> scored) {
    std::string text = "file_x,file_y,decision,distance\n";
    for (std::size_t i = 0; i < scored.size(); ++i)
        text += csv_field(list.pictures[list.pairs[i].a]) + "," +
                csv_field(list.pictures[list.pairs[i].b]) + "," +
                (scored[i].same ? "Yes," : "No,") +
                (scored[i].failed ? "" : fixed(scored[i].distance, 9)) + "\n";
    return text;
}

Result<int> run(const Context &context) {
    const Arguments &arguments = context.arguments;
    if (!arguments.positionals().empty())
        return fail(Errc::InvalidArgument, "calibrate: unexpected ", arguments.positionals()[0],
                    "; usage: spherectl calibrate --pairs CSV --images DIR");
    auto file = arguments.required("pairs", "give the list of pairs");
    if (!file)
        return std::move(file).error();
    auto folder = arguments.required("images", "give the folder that the pictures are in");
    if (!folder)
        return std::move(folder).error();
    auto far = arguments.number("far", 0.001, 0, 1);
    if (!far)
        return std::move(far).error();
    SPHERE_TRY(check_outputs(arguments));
    auto session_options = read_session_options(arguments, ThresholdMeans::Score);
    if (!session_options)
        return std::move(session_options).error();
    auto list = read_pairs(*file, *folder);
    if (!list)
        return std::move(list).error();
    auto session = FaceSession::open(*session_options);
    if (!session)
        return std::move(session).error();
    auto metric = session->metric(arguments);
    if (!metric)
        return std::move(metric).error();
    auto measured = measure_pairs(*session, *list, *metric);
    if (!measured)
        return std::move(measured).error();
    auto result = calibrate(measured->pairs, *far);
    if (!result)
        return std::move(result).error();
    result->metric = metric_name(*metric);
    if (arguments.has("distances"))
        SPHERE_TRY(write_whole(arguments.text("distances"), csv_of(*list, measured->pairs)));
    if (arguments.has("plot"))
        SPHERE_TRY(
            write_whole(arguments.text("plot"), plot_of(*result, measured->pairs, *session)));
    print_result(context, *result, *session, measured->failures);
    return exit_code_with(measured->failures, kExitDone);
}

} // namespace

const Command kCalibrateCommand = {
    "calibrate",
    "find a threshold from labelled pairs",
    "--pairs=FILE --images=DIR [--far=RATE] [--plot=FILE.svg] [OPTION…]",
    "Two thresholds: C4.5's split of the distances into same and different by gain ratio, and "
    "the\n"
    "highest that accepts no more than the share --far of the different pairs. In each "
    "picture\n"
    "the face nearest to the centre counts; pairs with a picture that failed are left out.",
    "spherectl calibrate --pairs pairs.csv --images photos --far 0.001 --plot calibration.svg",
    &options,
    &run,
};

} // namespace sphere::cli
