// SPDX-License-Identifier: MIT
// spherectl eval: how often the recogniser is right, on labelled pairs.
#include "core/cli/command.h"
#include "core/cli/output.h"
#include "core/cli/pairs.h"

#include <nlohmann/json.hpp>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

// As the contract names them.
constexpr struct {
    const char *name;
    double rate;
} kFalseAcceptRates[] = {{"0.01", 0.01}, {"0.001", 0.001}};

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Distance);
    for (OptionSpec &spec : specs)
        if (spec.name == "threshold")
            spec.help = "judge by this distance; default: the best on the other folds";
    specs.push_back({"pairs", "FILE", "LFW pairs, or CSV with file_x, file_y, decision"});
    specs.push_back({"images", "DIR", "the folder that the pictures are in"});
    specs.push_back(kMetricOption);
    specs.push_back(kFlipOption);
    return specs;
}

Json number_or_null(const std::optional<double> &value) {
    return value ? Json(*value) : Json();
}

struct Evaluation {
    const PairList &list;
    const MeasuredPairs &measured;
    Verification verification;
    std::optional<double> auc;
    std::optional<double> fixed_threshold;
    Metric metric;
};

/// TAR at a FAR; 0 where failed pairs alone exceed the rate.
std::optional<double> true_accepts(const Evaluation &evaluation, double rate) {
    if (!evaluation.auc)
        return std::nullopt; // one of the kinds is missing
    const auto point = at_false_accept_rate(evaluation.measured.pairs, rate);
    return point ? point->true_accept : 0;
}

void print_json(const Evaluation &evaluation, const FaceSession &session) {
    Json tar;
    for (const auto &far : kFalseAcceptRates)
        tar[far.name] = number_or_null(true_accepts(evaluation, far.rate));
    Json failed = Json::array();
    for (const Failure &failure : evaluation.measured.failures)
        failed.push_back(failure.path);
    Json folds = Json::array();
    for (const FoldAccuracy &fold : evaluation.verification.folds)
        folds.push_back({{"accuracy", fold.accuracy}, {"threshold", fold.threshold}});
    print_line(Json{{"pairs", evaluation.list.pairs.size()},
                    {"folds", evaluation.list.folds},
                    {"accuracy", evaluation.verification.accuracy},
                    {"accuracy_se", evaluation.verification.standard_error},
                    {"auc", number_or_null(evaluation.auc)},
                    {"tar_at_far", tar},
                    {"failed_images", failed},
                    {"model", session.stamp().model},
                    {"detector", session.detector_name()},
                    {"metric", metric_name(evaluation.metric)},
                    {"flip", session.stamp().flip},
                    {"images", evaluation.list.pictures.size()},
                    {"threshold", number_or_null(evaluation.fixed_threshold)},
                    {"fold_results", folds},
                    {"failed", failure_rows(evaluation.measured.failures)}}
                   .dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string text_or_dash(const std::optional<double> &value) {
    return value ? fixed(*value, 4) : "-";
}

void print_text(const Evaluation &evaluation, const FaceSession &session) {
    const int folds = evaluation.list.folds;
    std::string thresholds;
    for (const FoldAccuracy &fold : evaluation.verification.folds)
        thresholds += " " + fixed(fold.threshold, 4);
    print_line("pairs            " + std::to_string(evaluation.list.pairs.size()) + " in " +
               std::to_string(folds) + (folds == 1 ? " fold, " : " folds, ") +
               std::to_string(evaluation.list.pictures.size()) + " pictures");
    print_line("model            " + session.stamp().model + ", flip " + session.stamp().flip +
               ", " + metric_name(evaluation.metric) + ", detector " + session.detector_name());
    print_line("accuracy         " + fixed(evaluation.verification.accuracy, 4) + " ± " +
               fixed(evaluation.verification.standard_error, 4));
    print_line("area under ROC   " + text_or_dash(evaluation.auc));
    for (const auto &far : kFalseAcceptRates) {
        std::string label = std::string("TAR at FAR ") + far.name;
        label.resize(17, ' ');
        print_line(label + text_or_dash(true_accepts(evaluation, far.rate)));
    }
    print_line("threshold       " + thresholds +
               (evaluation.fixed_threshold ? " (given)"
                : folds == 1 ? " (the best on these same pairs: one fold leaves no others)"
                             : " (a fold, each the best on the others)"));
    print_line("failed pictures  " + std::to_string(evaluation.measured.failures.size()));
    for (const Failure &failure : evaluation.measured.failures)
        print_line("  " + failure.path);
}

/// A picture without a face is a result, one that cannot be read is bad input.
int exit_code(const MeasuredPairs &measured) {
    int code = kExitDone;
    for (const Failure &failure : measured.failures)
        if (!failure.no_face)
            code = std::max(code, exit_code_of(failure.error));
    return code;
}

Result<int> run(const Context &context) {
    const Arguments &arguments = context.arguments;
    if (!arguments.positionals().empty())
        return fail(Errc::InvalidArgument, "eval: unexpected ", arguments.positionals()[0],
                    "; usage: spherectl eval --pairs FILE --images DIR");
    auto file = arguments.required("pairs", "give the list of pairs");
    if (!file)
        return std::move(file).error();
    auto folder = arguments.required("images", "give the folder that the pictures are in");
    if (!folder)
        return std::move(folder).error();
    auto session_options = read_session_options(arguments, ThresholdMeans::Distance);
    if (!session_options)
        return std::move(session_options).error();
    auto threshold = read_threshold(arguments, "threshold", kMaxDistance);
    if (!threshold)
        return std::move(threshold).error();
    const std::optional<double> fixed_threshold = *threshold;
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
    const auto verification = verify_by_folds(measured->pairs, list->folds, fixed_threshold);
    if (!verification)
        return fail(Errc::NotFound, *file,
                    ": no pair could be measured, for the pictures named above failed");
    const Evaluation evaluation{*list,           *measured,
                                *verification,   area_under_roc(measured->pairs),
                                fixed_threshold, *metric};
    if (context.json)
        print_json(evaluation, *session);
    else
        print_text(evaluation, *session);
    return exit_code(*measured);
}

} // namespace

const Command kEvalCommand = {
    "eval",
    "measure the recogniser on labelled pairs",
    "--pairs=FILE --images=DIR [OPTION…]",
    "The protocol of Labeled Faces in the Wild: each fold is judged by the threshold that is "
    "best\n"
    "on the others; accuracy is the mean of the folds, ± its standard error. In each picture "
    "the\n"
    "face nearest to the centre counts. A picture without a face makes its pairs wrong, and "
    "is\n"
    "listed. With one fold (a CSV) the threshold is chosen on the same pairs that it judges, "
    "and\n"
    "the standard error is the binomial one.",
    "spherectl eval --pairs pairs.txt --images lfw",
    &options,
    &run,
};

} // namespace sphere::cli
