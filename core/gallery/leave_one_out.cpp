// SPDX-License-Identifier: MIT
// Counting at a threshold, and looking for a better one.
#include "core/gallery/leave_one_out.h"

#include <algorithm>
#include <cmath>

namespace sphere {
namespace {

bool clear_margin(const std::optional<float> &first, const std::optional<float> &second,
                  float margin) {
    return margin <= 0 || !second || *second - *first >= margin;
}

/// Named as somebody else if the own person were not there.
bool stranger_named(const LeftOut &probe, float threshold, float margin) {
    return probe.other && *probe.other <= threshold &&
           clear_margin(probe.other, probe.second, margin);
}

bool return_named(const LeftOut &probe, float threshold, float margin) {
    return probe.own && *probe.own <= threshold &&
           (!probe.other ||
            (*probe.own < *probe.other && clear_margin(probe.own, probe.other, margin)));
}

std::size_t returning_named(std::span<const LeftOut> probes, float threshold, float margin) {
    return static_cast<std::size_t>(
        std::count_if(probes.begin(), probes.end(), [&](const LeftOut &probe) {
            return return_named(probe, threshold, margin);
        }));
}

std::optional<float> suggest(std::span<const LeftOut> probes, const CheckOptions &options) {
    std::vector<float> named; // at which threshold each stranger would be
    std::size_t strangers = 0;
    for (const LeftOut &probe : probes) {
        if (!probe.other)
            continue;
        ++strangers;
        if (clear_margin(probe.other, probe.second, options.margin))
            named.push_back(*probe.other);
    }
    if (strangers == 0)
        return std::nullopt;
    std::sort(named.begin(), named.end());
    const auto allowed = static_cast<std::size_t>(options.target_far *
                                                  static_cast<double>(strangers) * (1 + 1e-9));
    if (allowed >= named.size()) // nobody more is ever named
        return named.empty() ? options.threshold : std::max(options.threshold, named.back());
    // Just below the first stranger too many. Too few of them to tell of a share that small
    // give no reason to go above the threshold in use.
    const float below = std::max(0.0F, std::nextafter(named[allowed], -1.0F));
    return allowed == 0 ? std::min(below, options.threshold) : below;
}

} // namespace

GalleryCheck judge_left_out(std::span<const LeftOut> probes, const CheckOptions &options) {
    GalleryCheck check;
    check.probes = probes.size();
    for (const LeftOut &probe : probes) {
        check.strangers += probe.other.has_value();
        check.strangers_named += stranger_named(probe, options.threshold, options.margin);
        check.returning += probe.own.has_value();
    }
    check.returning_named = returning_named(probes, options.threshold, options.margin);
    check.suggested_threshold = suggest(probes, options);
    if (check.suggested_threshold) {
        check.suggested_threshold =
            std::min(*check.suggested_threshold, options.most_threshold);
        check.returning_named_suggested =
            returning_named(probes, *check.suggested_threshold, options.margin);
    }
    check.unsafe = static_cast<double>(check.strangers_named) >
                   options.target_far * static_cast<double>(check.strangers) * (1 + 1e-9);
    return check;
}

} // namespace sphere
