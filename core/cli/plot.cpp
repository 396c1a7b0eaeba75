// SPDX-License-Identifier: MIT
// Calibrations drawn.
#include "core/cli/plot.h"

#include "core/cli/output.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sphere::cli {
namespace {

constexpr double kWidth = 960;
constexpr double kHeight = 440;
constexpr std::size_t kBins = 40;
constexpr const char *kSameColour = "#1b7f4d";
constexpr const char *kDifferentColour = "#c0392b";
constexpr std::array<const char *, 4> kThresholdColours = {"#1f4e9c", "#8e44ad", "#b9770e",
                                                           "#444444"};

std::string escaped(const std::string &text) {
    std::string result;
    for (const char c : text) {
        if (c == '&')
            result += "&amp;";
        else if (c == '<')
            result += "&lt;";
        else if (c == '>')
            result += "&gt;";
        else if (c == '"')
            result += "&quot;";
        else
            result += c;
    }
    return result;
}

std::string number(double value) {
    return fixed(value, 2);
}

/// A tick's number without needless zeros.
std::string tick_text(double value) {
    std::string text = fixed(value, 4);
    while (text.ends_with('0'))
        text.pop_back();
    if (text.ends_with('.'))
        text.pop_back();
    return text;
}

/// Where a panel lies on the page, and what it shows.
struct Panel {
    double left = 0;
    double top = 0;
    double width = 0;
    double height = 0;
    double x_low = 0;
    double x_high = 1;
    double y_high = 1; ///< from 0
    double x(double value) const { return left + (value - x_low) / (x_high - x_low) * width; }
    double y(double value) const { return top + (1 - value / y_high) * height; }
};

class Page {
  public:
    void line(double x1, double y1, double x2, double y2, const std::string &colour,
              double width, const std::string &dash = {}, double dash_offset = 0) {
        body_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" +
                 number(x2) + "\" y2=\"" + number(y2) + "\" stroke=\"" + colour +
                 "\" stroke-width=\"" + number(width) + "\"" +
                 (dash.empty() ? ""
                               : " stroke-dasharray=\"" + dash + "\" stroke-dashoffset=\"" +
                                     number(dash_offset) + "\"") +
                 "/>\n";
    }
    void text(double x, double y, const std::string &content, const char *anchor = "middle",
              double size = 12, const std::string &colour = "#222222", bool upright = false) {
        body_ +=
            "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" font-size=\"" +
            number(size) + "\" text-anchor=\"" + anchor + "\" fill=\"" + colour + "\"" +
            (upright ? " transform=\"rotate(-90 " + number(x) + " " + number(y) + ")\"" : "") +
            ">" + escaped(content) + "</text>\n";
    }
    void path(const std::string &points, const std::string &stroke, const std::string &fill) {
        body_ += "<path d=\"" + points + "\" stroke=\"" + stroke +
                 "\" stroke-width=\"1.6\" fill=\"" + fill + "\" fill-opacity=\"0.25\"/>\n";
    }
    void box(double x, double y, double size, const std::string &colour) {
        body_ += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" +
                 number(size) + "\" height=\"" + number(size) + "\" fill=\"" + colour +
                 "\"/>\n";
    }
    void dot(double x, double y, double radius, const std::string &colour) {
        body_ += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" +
                 number(radius) + "\" fill=\"" + colour + "\" stroke=\"white\"/>\n";
    }
    std::string finish() const {
        return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "
               "xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
               fixed(kWidth, 0) + "\" height=\"" + fixed(kHeight, 0) + "\" viewBox=\"0 0 " +
               fixed(kWidth, 0) + " " + fixed(kHeight, 0) +
               "\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n<rect "
               "width=\"100%\" height=\"100%\" fill=\"white\"/>\n" +
               body_ + "</svg>\n";
    }

  private:
    std::string body_;
};

/// 1, 2 or 5 times a power of ten, for about five ticks.
double tick_step(double range) {
    const double rough = range / 5;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * power >= rough)
            return factor * power;
    return 10 * power;
}

void draw_frame(Page &page, const Panel &panel, const std::string &title,
                const std::string &x_label, const std::string &y_label) {
    page.line(panel.left, panel.top + panel.height, panel.left + panel.width,
              panel.top + panel.height, "#222222", 1.2);
    page.line(panel.left, panel.top, panel.left, panel.top + panel.height, "#222222", 1.2);
    page.text(panel.left + panel.width / 2, panel.top - 12, title, "middle", 14);
    page.text(panel.left + panel.width / 2, panel.top + panel.height + 38, x_label);
    page.text(panel.left - 44, panel.top + panel.height / 2, y_label, "middle", 12, "#222222",
              true);
}

void draw_y_ticks(Page &page, const Panel &panel, bool as_percent) {
    const double step = tick_step(panel.y_high);
    for (int tick = 0; tick * step <= panel.y_high * 1.0001; ++tick) {
        const double value = tick * step;
        page.line(panel.left - 4, panel.y(value), panel.left, panel.y(value), "#222222", 1);
        if (value > 0)
            page.line(panel.left, panel.y(value), panel.left + panel.width, panel.y(value),
                      "#e4e4e4", 0.8);
        page.text(panel.left - 8, panel.y(value) + 4,
                  as_percent ? tick_text(100 * value) + " %" : tick_text(value), "end", 11);
    }
}

void draw_x_tick(Page &page, const Panel &panel, double place, const std::string &label) {
    const double base = panel.top + panel.height;
    page.line(panel.x(place), base, panel.x(place), base + 4, "#222222", 1);
    page.text(panel.x(place), base + 18, label, "middle", 11);
}

using Histogram = std::array<double, kBins>;

/// Shares of the pairs of one kind.
Histogram histogram_of(std::span<const ScoredPair> pairs, bool same, double low, double high) {
    Histogram bins{};
    double total = 0;
    for (const ScoredPair &pair : pairs) {
        if (pair.failed || pair.same != same)
            continue;
        const double place = (pair.distance - low) / (high - low) * kBins;
        bins[static_cast<std::size_t>(std::clamp(place, 0.0, kBins - 1.0))] += 1;
        total += 1;
    }
    for (double &bin : bins)
        bin /= std::max(total, 1.0);
    return bins;
}

std::string steps_of(const Panel &panel, const Histogram &bins) {
    const double step = (panel.x_high - panel.x_low) / kBins;
    std::string path = "M" + number(panel.left) + " " + number(panel.y(0));
    for (std::size_t i = 0; i < kBins; ++i) {
        const double x = panel.x_low + static_cast<double>(i) * step;
        const std::string y = number(panel.y(bins[i]));
        for (const double edge : {x, x + step}) {
            path += " L";
            path += number(panel.x(edge));
            path += " ";
            path += y;
        }
    }
    return path + " L" + number(panel.x(panel.x_high)) + " " + number(panel.y(0)) + " Z";
}

void draw_distributions(Page &page, const CalibrationPlot &plot) {
    Panel panel{70, 64, 430, 300};
    double high = 0;
    for (const ScoredPair &pair : plot.pairs)
        if (!pair.failed)
            high = std::max(high, pair.distance);
    for (const PlotThreshold &threshold : plot.thresholds)
        high = std::max(high, threshold.value);
    const double step = tick_step(std::max(high, 1e-6));
    panel.x_high = std::ceil(std::max(high, 1e-6) / step) * step;
    const Histogram same = histogram_of(plot.pairs, true, 0, panel.x_high);
    const Histogram different = histogram_of(plot.pairs, false, 0, panel.x_high);
    panel.y_high = 1.08 * std::max(*std::max_element(same.begin(), same.end()),
                                   *std::max_element(different.begin(), different.end()));
    draw_frame(page, panel, "Distances of the pairs", plot.distance_label,
               "share of the pairs of a kind");
    draw_y_ticks(page, panel, true);
    for (int tick = 0; tick * step <= panel.x_high * 1.0001; ++tick)
        draw_x_tick(page, panel, tick * step, tick_text(tick * step));
    page.path(steps_of(panel, different), kDifferentColour, kDifferentColour);
    page.path(steps_of(panel, same), kSameColour, kSameColour);
    // Where thresholds coincide their dashes alternate, and the later dot is smaller: all are
    // seen.
    for (std::size_t i = 0; i < plot.thresholds.size(); ++i) {
        const double x = panel.x(plot.thresholds[i].value);
        const char *colour = kThresholdColours[i % kThresholdColours.size()];
        page.line(x, panel.top, x, panel.top + panel.height, colour, 1.8, "6 6",
                  6 * static_cast<double>(i));
    }
}

double log_place(double rate, double lowest) {
    return std::log10(std::max(rate, lowest));
}

void draw_roc(Page &page, const CalibrationPlot &plot) {
    std::vector<double> same;
    std::vector<double> different;
    for (const ScoredPair &pair : plot.pairs)
        if (!pair.failed)
            (pair.same ? same : different).push_back(pair.distance);
    std::sort(same.begin(), same.end());
    std::sort(different.begin(), different.end());
    // Half of the smallest rate that can be measured stands for none at all.
    const double lowest = 0.5 / static_cast<double>(std::max<std::size_t>(1, different.size()));
    Panel panel{580, 64, 340, 300};
    panel.x_low = log_place(lowest, lowest);
    panel.x_high = 0;
    panel.y_high = 1;
    draw_frame(page, panel, "ROC", "false-accept rate (logarithmic)", "true-accept rate");
    draw_y_ticks(page, panel, false);
    draw_x_tick(page, panel, panel.x_low, "none");
    for (int power = static_cast<int>(std::ceil(panel.x_low)); power <= 0; ++power)
        if (power - panel.x_low > 0.25)
            draw_x_tick(page, panel, power, tick_text(std::pow(10, power)));
    std::string path = "M" + number(panel.x(panel.x_low)) + " " + number(panel.y(0));
    std::size_t accepted_same = 0;
    for (std::size_t i = 0; i <= different.size(); ++i) {
        // Just before the i-th different pair is accepted.
        while (accepted_same < same.size() &&
               (i == different.size() || same[accepted_same] < different[i]))
            ++accepted_same;
        const double far = static_cast<double>(i) /
                           static_cast<double>(std::max<std::size_t>(1, different.size()));
        const double tar = static_cast<double>(accepted_same) /
                           static_cast<double>(std::max<std::size_t>(1, same.size()));
        path += " L" + number(panel.x(log_place(far, lowest))) + " " + number(panel.y(tar));
    }
    page.path(path, "#222222", "none");
    for (std::size_t i = 0; i < plot.thresholds.size(); ++i)
        page.dot(panel.x(log_place(plot.thresholds[i].false_accept, lowest)),
                 panel.y(plot.thresholds[i].true_accept), i == 0 ? 7 : 4.5,
                 kThresholdColours[i % kThresholdColours.size()]);
}

void draw_legend(Page &page, const CalibrationPlot &plot) {
    const double y = kHeight - 14;
    double x = 70;
    const auto entry = [&](const std::string &colour, const std::string &label) {
        page.box(x, y - 10, 11, colour);
        page.text(x + 16, y, label, "start", 11.5);
        x += 28 + 6.6 * static_cast<double>(label.size());
    };
    entry(kSameColour, "same person");
    entry(kDifferentColour, "different people");
    for (std::size_t i = 0; i < plot.thresholds.size(); ++i)
        entry(kThresholdColours[i % kThresholdColours.size()], plot.thresholds[i].label);
}

} // namespace

std::string calibration_svg(const CalibrationPlot &plot) {
    Page page;
    page.text(kWidth / 2, 26, plot.title, "middle", 15);
    draw_distributions(page, plot);
    draw_roc(page, plot);
    draw_legend(page, plot);
    return page.finish();
}

} // namespace sphere::cli
