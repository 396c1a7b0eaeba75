// SPDX-License-Identifier: MIT
// Standard output, standard error, and numbers as text.
#include "core/cli/output.h"

#include "core/base/log.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace sphere::cli {
namespace {

int g_write_errno = 0;                   // the first failure to write to standard output
std::atomic<bool> g_bar_is_drawn{false}; // the log may come from another thread

constexpr auto kBarAfter = std::chrono::seconds(1);
constexpr auto kBarEvery = std::chrono::milliseconds(100);
constexpr std::size_t kBarWidth = 30;

void clear_bar() {
    if (g_bar_is_drawn.exchange(false))
        std::fputs("\r\033[K", stderr);
}

void print_stderr(std::string_view kind, std::string_view message) {
    clear_bar();
    std::fprintf(stderr, "spherectl: %.*s%.*s\n", static_cast<int>(kind.size()), kind.data(),
                 static_cast<int>(message.size()), message.data());
}

} // namespace

int exit_code_of(const Error &error) {
    const bool ours = error.code == Errc::Internal || error.code == Errc::Engine;
    return ours ? kExitInternal : kExitBadInput;
}

void print_line(std::string_view line) {
    if (g_write_errno != 0)
        return;
    clear_bar();
    errno = 0;
    const bool written = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
                         std::fputc('\n', stdout) != EOF;
    if (!written)
        g_write_errno = errno != 0 ? errno : EIO;
}

Result<void> finish_output() {
    errno = 0;
    if (std::fflush(stdout) != 0 && g_write_errno == 0)
        g_write_errno = errno != 0 ? errno : EIO;
    if (g_write_errno == 0 || g_write_errno == EPIPE)
        return {};
    return fail(Errc::Io, "cannot write to standard output: ", std::strerror(g_write_errno),
                "; free space there or send the output elsewhere");
}

void print_error(std::string_view message) {
    print_stderr("error: ", message);
}
void print_warning(std::string_view message) {
    print_stderr("warning: ", message);
}
void print_note(std::string_view message) {
    print_stderr("", message);
}

void install_log(bool verbose) {
    set_log_sink([verbose](LogLevel level, std::string_view message) {
        switch (level) {
        case LogLevel::Error:
            return print_error(message);
        case LogLevel::Warning:
            return print_warning(message);
        case LogLevel::Info:
        case LogLevel::Debug:
            if (verbose)
                print_note(message);
        }
    });
}

void note_failure(std::vector<Failure> &failures, const std::string &path, Error error) {
    print_error(error.message);
    failures.push_back({path, std::move(error)});
}

std::vector<std::map<std::string, std::string>>
failure_rows(std::span<const Failure> failures) {
    std::vector<std::map<std::string, std::string>> rows;
    for (const Failure &failure : failures)
        rows.push_back({{"path", failure.path}, {"error", failure.error.message}});
    return rows;
}

int exit_code_with(std::span<const Failure> failures, int code) {
    for (const Failure &failure : failures)
        code = std::max(code, exit_code_of(failure.error));
    return code;
}

std::string fixed(double value, int decimals) {
    if (!std::isfinite(value))
        return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    char buffer[400]; // the largest double has 309 digits
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                   std::chars_format::fixed, decimals);
    return std::string(buffer, end.ptr);
}

double tidy(float value) {
    char buffer[64];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value);
    double number = value;
    std::from_chars(buffer, end.ptr, number);
    return number;
}

std::array<double, 4> box_numbers(const Box &box) {
    return {tidy(box.x), tidy(box.y), tidy(box.w), tidy(box.h)};
}

std::vector<std::array<double, 2>> landmark_numbers(const Face &face) {
    std::vector<std::array<double, 2>> points;
    if (face.landmarks)
        for (const Point2f &point : *face.landmarks)
            points.push_back({tidy(point.x), tidy(point.y)});
    return points;
}

std::string box_text(const Box &box) {
    return fixed(box.x, 1) + "," + fixed(box.y, 1) + " " + fixed(box.w, 1) + "x" +
           fixed(box.h, 1);
}

Progress::Progress(std::string what, std::size_t total)
    : what_(std::move(what)), total_(total), terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()), last_(start_) {}

Progress::~Progress() {
    clear_bar();
}

void Progress::update(std::size_t done) {
    if (!terminal_ || total_ == 0)
        return;
    const auto now = Clock::now();
    if (now - start_ < kBarAfter || now - last_ < kBarEvery)
        return;
    last_ = now;
    const std::size_t filled = std::min(done, total_) * kBarWidth / total_;
    std::string bar(filled, '#');
    bar.resize(kBarWidth, '.');
    std::fprintf(stderr, "\r\033[K%s [%s] %zu of %zu", what_.c_str(), bar.c_str(), done,
                 total_);
    std::fflush(stderr);
    g_bar_is_drawn = true;
}

} // namespace sphere::cli
