// SPDX-License-Identifier: MIT
// Lists of labelled pairs.
#include "core/cli/pairs.h"

#include "core/cli/files.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sys/stat.h>

namespace sphere::cli {
namespace {

constexpr std::size_t kMaxPairFileBytes = 64U << 20;
constexpr int kMaxFolds = 1000;
constexpr int kMaxPairsOfAKind = 10'000'000;

std::vector<std::string_view> lines_of(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF"))
        text.remove_prefix(3); // byte order mark of some spreadsheets
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        lines.push_back(line);
    }
    return lines;
}

std::vector<std::string_view> split_blanks(std::string_view line) {
    std::vector<std::string_view> words;
    for (std::size_t start = 0;;) {
        start = line.find_first_not_of(" \t", start);
        if (start == std::string_view::npos)
            return words;
        const std::size_t end = std::min(line.find_first_of(" \t", start), line.size());
        words.push_back(line.substr(start, end - start));
        start = end;
    }
}

/// Fields of a CSV line (RFC 4180; no line ends within fields).
std::vector<std::string> split_csv(std::string_view line) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
            fields.back() += '"';
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            fields.emplace_back();
        } else {
            fields.back() += c;
        }
    }
    return fields;
}

std::string lower(std::string text) {
    for (char &c : text)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c + 32);
    return text;
}

bool exists(const std::string &path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0;
}

/// Collects pictures, each once.
class Collector {
  public:
    explicit Collector(std::string folder) : folder_(std::move(folder)) {}

    std::size_t lfw_picture(std::string_view name, int number) {
        std::string digits = std::to_string(number);
        if (digits.size() < 4)
            digits.insert(0, 4 - digits.size(), '0');
        const std::string stem = std::string(name) + "/" + std::string(name) + "_" + digits;
        return add(stem, [&] {
            for (const char *extension : {".jpg", ".png", ".jpeg", ".JPG"})
                if (exists(folder_ + "/" + stem + extension))
                    return stem + extension;
            return stem + ".jpg";
        });
    }
    std::size_t csv_picture(const std::string &name) {
        return add(name, [&] { return exists(folder_ + "/" + name) ? name : base_name(name); });
    }

    std::vector<std::string> take() { return std::move(pictures_); }

  private:
    template <typename Locate> std::size_t add(const std::string &key, const Locate &locate) {
        const auto known = index_.find(key);
        if (known != index_.end())
            return known->second;
        const std::string path = folder_ + "/" + locate();
        // Two spellings of one file are one picture.
        const auto [it, added] = paths_.emplace(path, pictures_.size());
        if (added)
            pictures_.push_back(path);
        index_.emplace(key, it->second);
        return it->second;
    }

    std::string folder_;
    std::vector<std::string> pictures_;
    std::map<std::string, std::size_t> index_;
    std::map<std::string, std::size_t> paths_;
};

Error bad_line(const std::string &file, std::size_t line, const std::string &expected) {
    return fail(Errc::Corrupt, file, ": line ", line, ": expected ", expected);
}

std::optional<int> count(std::string_view word, int most) {
    const auto value = parse_integer(word);
    return value && *value >= 0 && *value <= most ? value : std::nullopt;
}

/// Folds and pairs a kind, if `line` is the header of an LFW list.
std::optional<std::pair<int, int>> lfw_header(std::string_view line) {
    const auto words = split_blanks(line);
    if (words.empty() || words.size() > 2)
        return std::nullopt;
    const auto first = count(words[0], words.size() == 2 ? kMaxFolds : kMaxPairsOfAKind);
    if (!first || *first < 1)
        return std::nullopt;
    if (words.size() == 1)
        return std::pair{1, *first};
    const auto second = count(words[1], kMaxPairsOfAKind);
    if (!second || *second < 1)
        return std::nullopt;
    return std::pair{*first, *second};
}

Result<PairList> read_lfw(const std::string &file, const std::string &folder,
                          std::span<const std::string_view> lines, int folds, int pairs) {
    Collector collector(folder);
    PairList list;
    list.folds = folds;
    const std::size_t expected =
        static_cast<std::size_t>(folds) * 2 * static_cast<std::size_t>(pairs);
    std::size_t number = 1;
    for (const std::string_view line : lines.subspan(1)) {
        ++number;
        const auto words = split_blanks(line);
        if (words.empty())
            continue;
        const auto n = list.pairs.size();
        if (n == expected)
            return fail(Errc::Corrupt, file, ": line ", number, ": more than the ", expected,
                        " pairs that the header says");
        const bool same = n / static_cast<std::size_t>(pairs) % 2 == 0;
        const auto i = words.size() > 1 ? count(words[1], 1'000'000) : std::nullopt;
        const auto j = count(words.back(), 1'000'000);
        if (words.size() != (same ? 3U : 4U) || !i || !j)
            return bad_line(file, number,
                            same ? "a same pair: name, number, number"
                                 : "a different pair: name, number, name, number");
        LabelledPair pair;
        pair.same = same;
        pair.fold = static_cast<int>(n / (2 * static_cast<std::size_t>(pairs)));
        pair.a = collector.lfw_picture(words[0], *i);
        pair.b = collector.lfw_picture(words[same ? 0 : 2], *j);
        list.pairs.push_back(pair);
    }
    if (list.pairs.size() != expected)
        return fail(Errc::Corrupt, file, ": ", list.pairs.size(),
                    " pairs, and the header says ", folds, " folds of ", pairs, " same and ",
                    pairs, " different ones");
    list.pictures = collector.take();
    return list;
}

std::optional<bool> read_decision(const std::string &text) {
    const std::string word = lower(text);
    if (word == "yes" || word == "true" || word == "1" || word == "same")
        return true;
    if (word == "no" || word == "false" || word == "0" || word == "different")
        return false;
    return std::nullopt;
}

Result<PairList> read_csv(const std::string &file, const std::string &folder,
                          std::span<const std::string_view> lines) {
    const auto header = split_csv(lines[0]);
    const auto column = [&](const char *name) {
        const auto it = std::find_if(header.begin(), header.end(),
                                     [&](const std::string &h) { return lower(h) == name; });
        return static_cast<std::size_t>(it - header.begin());
    };
    const std::size_t x = column("file_x");
    const std::size_t y = column("file_y");
    const std::size_t decision = column("decision");
    if (std::max({x, y, decision}) == header.size())
        return fail(Errc::Corrupt, file,
                    ": neither an LFW list (its first line is \"folds TAB pairs\") nor a CSV "
                    "with the columns file_x, file_y and decision");
    Collector collector(folder);
    PairList list;
    std::size_t number = 1;
    for (const std::string_view line : lines.subspan(1)) {
        ++number;
        if (line.empty())
            continue;
        const auto fields = split_csv(line);
        if (fields.size() <= std::max({x, y, decision}) || fields[x].empty() ||
            fields[y].empty())
            return bad_line(file, number, "file_x, file_y and decision, as the header says");
        const auto same = read_decision(fields[decision]);
        if (!same)
            return bad_line(file, number,
                            "a decision, Yes or No, not \"" + fields[decision] + "\"");
        list.pairs.push_back(
            {collector.csv_picture(fields[x]), collector.csv_picture(fields[y]), *same, 0});
    }
    if (list.pairs.empty())
        return fail(Errc::Corrupt, file, ": has no pairs");
    list.pictures = collector.take();
    return list;
}

} // namespace

Result<PairList> read_pairs(const std::string &file, const std::string &folder) {
    if (!is_directory(folder))
        return fail(Errc::NotFound, "--images=", folder,
                    ": is not a folder; give the one that "
                    "the pictures of the pairs are in");
    auto text = read_text(file, kMaxPairFileBytes);
    if (!text)
        return std::move(text).error();
    const auto lines = lines_of(*text);
    if (lines.empty())
        return fail(Errc::Corrupt, file, ": is empty; give a list of pairs");
    if (const auto header = lfw_header(lines[0]))
        return read_lfw(file, folder, lines, header->first, header->second);
    return read_csv(file, folder, lines);
}

Result<MeasuredPairs> measure_pairs(const FaceSession &session, const PairList &list,
                                    Metric metric) {
    MeasuredPairs measured;
    std::vector<std::vector<float>> embeddings(list.pictures.size());
    std::size_t missing = 0;
    {
        Progress progress("pictures", list.pictures.size());
        for (std::size_t i = 0; i < list.pictures.size(); ++i) {
            progress.update(i);
            auto photo = session.embed_one(list.pictures[i], Pick::NearestCentre);
            if (photo) {
                embeddings[i] = std::move(photo->faces[0].embedding->values);
                continue;
            }
            const bool there = exists(list.pictures[i]);
            if (!there)
                ++missing;
            note_failure(measured.failures, list.pictures[i], std::move(photo).error());
            measured.failures.back().no_face =
                there && measured.failures.back().error.code == Errc::NotFound;
            if (missing == list.pictures.size())
                return fail(Errc::NotFound,
                            "--images: none of the pictures of the pairs is there, ",
                            list.pictures[0], " for one; give the folder they are in");
        }
    }
    for (const LabelledPair &pair : list.pairs) {
        const auto &a = embeddings[pair.a];
        const auto &b = embeddings[pair.b];
        ScoredPair scored;
        scored.same = pair.same;
        scored.fold = pair.fold;
        scored.failed = a.empty() || b.empty();
        if (!scored.failed)
            scored.distance = metric_distance(metric, a, b);
        measured.pairs.push_back(scored);
    }
    return measured;
}

} // namespace sphere::cli
