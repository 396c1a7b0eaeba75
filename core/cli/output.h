// SPDX-License-Identifier: MIT
// What spherectl writes: results to standard output, everything else to standard error.
#pragma once

#include "core/base/result.h"
#include "core/face/face.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::cli {

/// Exit codes of CONTRACT, section 1.
inline constexpr int kExitDone = 0;
inline constexpr int kExitNegative = 1;
inline constexpr int kExitBadInput = 2;
inline constexpr int kExitInternal = 3;

/// Bad use and bad input are the user's to correct; Internal and Engine are not.
int exit_code_of(const Error &error);

/// One line to standard output. A write that fails is remembered for finish_output().
void print_line(std::string_view line);

/// Flushes standard output. Error: Io where something could not be written. A reader that went
/// away
/// (`| head`) is no error.
Result<void> finish_output();

/// "spherectl: error: …" on standard error.
void print_error(std::string_view message);
void print_warning(std::string_view message);
void print_note(std::string_view message);

/// Routes the core's log to standard error; Info and Debug with `verbose` only.
void install_log(bool verbose);

/// A file that was not done, and why.
struct Failure {
    std::string path;
    Error error;
    bool no_face = false; ///< it was read, and has no face that can be embedded
};

/// Prints the error and keeps it: the other files are still done.
void note_failure(std::vector<Failure> &failures, const std::string &path, Error error);
/// "path" and "error" of each, for JSON.
std::vector<std::map<std::string, std::string>> failure_rows(std::span<const Failure> failures);
/// `code`, or that of the worst failure where there is one.
int exit_code_with(std::span<const Failure> failures, int code);

/// Fixed-point text, independent of the locale.
std::string fixed(double value, int decimals);

/// The double whose shortest decimal form is that of `value`, so that JSON shows 0.93 for 0.93F
/// and still reads back as the same float.
double tidy(float value);

std::array<double, 4> box_numbers(const Box &box);
/// Five [x, y]; empty where the face has none.
std::vector<std::array<double, 2>> landmark_numbers(const Face &face);
std::string box_text(const Box &box);

/// A bar on standard error, where that is a terminal, for work of over a second.
class Progress {
  public:
    Progress(std::string what, std::size_t total);
    ~Progress();
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;
    /// `done` of the total are done.
    void update(std::size_t done);

  private:
    using Clock = std::chrono::steady_clock;
    std::string what_;
    std::size_t total_;
    bool terminal_;
    Clock::time_point start_;
    Clock::time_point last_;
};

} // namespace sphere::cli
