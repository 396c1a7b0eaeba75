// SPDX-License-Identifier: MIT
// Search in a large gallery: each kind of index beside the machine's memory and its peers.
//   bench_index [--rows N] [--dims N] [--queries N] [--repeats N] [--threads N] KIND...
//   bench_index [--rows N] [--dims N] --save PATH KIND   makes PATH.index-KIND
//   bench_index --open PATH KIND                         times opening it, in a fresh process
//   bench_index [--rows N] [--dims N] --saved PATH KIND...  takes of PATH what it has
// KIND: as make_index has them, or "peers" (Faiss flat and, with "hnsw", hnswlib, both called
// directly). Without any: exact exact-bf16 exact-int8 peers.
#include "core/gallery/index.h"
#include "core/gallery/matched_gallery.h"
#include "core/gallery/scan_kernels.h"
#include "tests/bench/bench_data.h"
#include "tests/bench/bench_peers.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>
#include <span>
#include <string>
#include <sys/mman.h>
#include <thread>

namespace sphere::bench {
namespace {

struct Options {
    std::size_t rows = 1'000'000, dims = 512, queries = 200, repeats = 9;
    int threads = 1;
    std::vector<std::string> kinds;
    std::string save, open, saved;
};

double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

double status_mb(const char *field) {
    std::ifstream file("/proc/self/status");
    std::string line;
    while (std::getline(file, line))
        if (line.starts_with(field))
            return std::atof(line.c_str() + std::strlen(field) + 1) / 1024;
    return 0;
}

// Reading as fast as this machine reads: whole vectors, huge pages, nothing done with them but
// an or. The best of many passes over 1 GB.
class Bandwidth {
  public:
    Bandwidth() {
        data_ = static_cast<Word *>(std::aligned_alloc(std::size_t{2} << 20, kBytes));
        if (data_ == nullptr)
            std::abort();
        (void)madvise(data_, kBytes, MADV_HUGEPAGE);
        std::memset(static_cast<void *>(data_), 1, kBytes);
    }
    ~Bandwidth() { std::free(data_); }
    Bandwidth(const Bandwidth &) = delete;
    Bandwidth &operator=(const Bandwidth &) = delete;
    double gb_per_s(int threads) const {
        const double start = now_s();
        std::vector<std::thread> others;
        for (int t = 1; t < threads; ++t)
            others.emplace_back([this, t, threads] { read(t, threads); });
        read(0, threads);
        for (std::thread &other : others)
            other.join();
        return kBytes / (now_s() - start) / 1e9;
    }

  private:
    using Word = long long __attribute__((vector_size(64), may_alias));
    static constexpr std::size_t kBytes = std::size_t{1} << 30;
#if defined(__x86_64__)
    [[gnu::target_clones("default", "avx2", "avx512f")]]
#endif
    static void
    read_words(const Word *data, std::size_t words, long long *out) {
        Word sums[4] = {};
        for (std::size_t i = 0; i < words; i += 4)
            for (std::size_t lane = 0; lane < 4; ++lane)
                sums[lane] |= data[i + lane];
        const Word all = sums[0] | sums[1] | sums[2] | sums[3];
        *out = all[0];
    }
    void read(int part, int parts) const {
        const std::size_t words = kBytes / sizeof(Word) / static_cast<std::size_t>(parts);
        long long out = 0;
        read_words(data_ + words * static_cast<std::size_t>(part), words, &out);
        volatile long long sink = out;
        (void)sink;
    }
    Word *data_ = nullptr;
};

struct Data {
    std::vector<float> rows;
    Planted planted;
    HitLists truth; ///< the ten nearest rows of each planted query
};

template <typename Search>
double recall(const Data &data, std::size_t k, const Search &search) {
    std::size_t found = 0;
    std::size_t wanted = 0;
    for (std::size_t q = 0; q < data.truth.size(); ++q) {
        const std::vector<std::int64_t> ids = search(q, k);
        for (std::size_t i = 0; i < std::min(k, data.truth[q].size()); ++i, ++wanted)
            found += static_cast<std::size_t>(
                std::count(ids.begin(), ids.end(), data.truth[q][i].id));
    }
    return wanted > 0 ? static_cast<double>(found) / static_cast<double>(wanted) : 0;
}

std::span<const float> query_of(const Data &data, const Options &options, std::size_t q) {
    return std::span(data.planted.queries).subspan(q * options.dims, options.dims);
}

/// As --save has made it.
std::shared_ptr<const Index> read_saved(const std::string &kind, const Options &options) {
    const double before_mb = status_mb("VmRSS:");
    const double start = now_s();
    auto file = read_index_file(options.saved, kind, {.threads = options.threads});
    if (!file) {
        std::printf("%-12s %s\n", kind.c_str(), file.error().message.c_str());
        return nullptr;
    }
    if (file->index->size() != options.rows) {
        std::printf("%-12s %s has %zu rows\n", kind.c_str(), options.saved.c_str(),
                    file->index->size());
        return nullptr;
    }
    std::printf("%-12s read in %.1f s, %.0f MB\n", kind.c_str(), now_s() - start,
                status_mb("VmRSS:") - before_mb);
    return file->index;
}

std::shared_ptr<const Index> build(const std::string &kind, const Data &data,
                                   const Options &options) {
    if (!options.saved.empty())
        if (auto index = read_saved(kind, options))
            return index;
    auto made = make_index(kind, static_cast<int>(options.dims), Metric::Cosine,
                           {.threads = options.threads, .expected_rows = options.rows});
    if (!made) {
        std::printf("%-12s %s\n", kind.c_str(), made.error().message.c_str());
        return nullptr;
    }
    const double before_mb = status_mb("VmRSS:");
    const double start = now_s();
    std::vector<std::int64_t> ids(10'000);
    for (std::size_t first = 0; first < options.rows; first += ids.size()) {
        const std::size_t count = std::min(ids.size(), options.rows - first);
        std::iota(ids.begin(), ids.end(), static_cast<std::int64_t>(first) + 1);
        const auto added = (*made)->add(
            std::span(ids).first(count),
            std::span(data.rows).subspan(first * options.dims, count * options.dims));
        if (!added) {
            std::printf("%-12s %s\n", kind.c_str(), added.error().message.c_str());
            return nullptr;
        }
    }
    std::printf("%-12s built in %.1f s, %.0f MB (rows as floats: %.0f MB)\n", kind.c_str(),
                now_s() - start, status_mb("VmRSS:") - before_mb,
                static_cast<double>(options.rows * options.dims) * 4 / 1048576);
    return std::move(*made);
}

struct Times {
    std::vector<double> single_ms, batch_ms; ///< a query
};

void time_one(const Index &index, const Data &data, const Options &options, std::size_t turn,
              Times &times) {
    const bool slow = index.size() > 200'000;
    const std::size_t singles = slow ? 4 : 32;
    double start = now_s();
    for (std::size_t i = 0; i < singles; ++i)
        (void)index.search(query_of(data, options, (turn * singles + i) % options.queries), 10);
    times.single_ms.push_back((now_s() - start) * 1e3 / static_cast<double>(singles));
    const std::size_t count = std::min<std::size_t>(32, options.queries);
    start = now_s();
    (void)index.search_many(std::span(data.planted.queries).first(count * options.dims), count,
                            10);
    times.batch_ms.push_back((now_s() - start) * 1e3 / static_cast<double>(count));
}

void report(const std::string &kind, const Index &index, const Data &data,
            const Options &options, const Times &times, double read_gb_s) {
    const auto search = [&](std::size_t q, std::size_t k) {
        std::vector<std::int64_t> ids;
        const auto hits = index.search(query_of(data, options, q), k).value();
        for (const Hit &hit : hits)
            ids.push_back(hit.id);
        return ids;
    };
    std::size_t planted = 0;
    for (std::size_t q = 0; q < options.queries; ++q)
        planted += search(q, 1).front() == static_cast<std::int64_t>(data.planted.rows[q]) + 1;
    const double ms = median(times.single_ms);
    const double batch = median(times.batch_ms);
    const double gb_s = static_cast<double>(options.rows * options.dims) * 4 / 1e9 / (ms / 1e3);
    std::printf("%-12s %8.3f ms a query (float rows at %.1f GB/s, %.0f%% of %.1f), "
                "%.3f ms in batches of 32 (%.1fx); planted found %zu of %zu, recall@10 %.4f\n",
                kind.c_str(), ms, gb_s, 100 * gb_s / read_gb_s, read_gb_s, batch, ms / batch,
                planted, options.queries, recall(data, 10, search));
}

void time_peer(Peer &peer, const Data &data, const Options &options, std::size_t turn,
               Times &times) {
    const std::size_t singles = 4;
    std::vector<std::int64_t> ids;
    double start = now_s();
    for (std::size_t i = 0; i < singles; ++i)
        peer.search(query_of(data, options, (turn * singles + i) % options.queries).data(), 1,
                    10, ids);
    times.single_ms.push_back((now_s() - start) * 1e3 / static_cast<double>(singles));
    const std::size_t count = std::min<std::size_t>(32, options.queries);
    start = now_s();
    peer.search(data.planted.queries.data(), count, 10, ids);
    times.batch_ms.push_back((now_s() - start) * 1e3 / static_cast<double>(count));
}

void run(const Options &options) {
    std::printf("%zu rows x %zu, ten an identity at cosine 0.8; %zu planted queries at 0.95; "
                "%d thread(s); kernels %s\n",
                options.rows, options.dims, options.queries, options.threads,
                scan_kernels().name);
    Data data;
    data.rows = make_identities(options.rows, options.dims, 1);
    data.planted = plant_near_duplicates(data.rows, options.dims, options.queries, 2);
    std::fflush(stdout);

    // All are built first and then take turns, so that a busy machine is as bad for one as for
    // the other.
    const Bandwidth bandwidth;
    std::vector<std::pair<std::string, std::shared_ptr<const Index>>> indexes;
    std::vector<std::unique_ptr<Peer>> peers;
    for (const std::string &kind : options.kinds) {
        if (kind == "peers")
            peers =
                make_peers(data.rows, options.dims, options.threads,
                           std::count(options.kinds.begin(), options.kinds.end(), "hnsw") > 0);
        else if (auto index = build(kind, data, options))
            indexes.emplace_back(kind, std::move(index));
        std::fflush(stdout);
    }
    if (indexes.empty())
        return;
    data.truth =
        *indexes.front().second->search_many(data.planted.queries, options.queries, 10);

    std::vector<double> reads;
    std::vector<Times> times(indexes.size());
    std::vector<Times> peer_times(peers.size());
    for (std::size_t turn = 0; turn < options.repeats; ++turn) {
        reads.push_back(bandwidth.gb_per_s(options.threads));
        for (std::size_t i = 0; i < indexes.size(); ++i)
            time_one(*indexes[i].second, data, options, turn, times[i]);
        for (std::size_t i = 0; i < peers.size(); ++i)
            time_peer(*peers[i], data, options, turn, peer_times[i]);
    }
    const double read_gb_s = median(reads);
    std::printf("memory reads: median %.1f GB/s, best %.1f\n", read_gb_s,
                *std::max_element(reads.begin(), reads.end()));
    for (std::size_t i = 0; i < indexes.size(); ++i) {
        report(indexes[i].first, *indexes[i].second, data, options, times[i], read_gb_s);
        if (i > 0) {
            std::vector<double> ratios;
            for (std::size_t t = 0; t < options.repeats; ++t)
                ratios.push_back(times[0].single_ms[t] / times[i].single_ms[t]);
            std::printf("%-12s %.2fx as fast as %s (median of ratios)\n", "", median(ratios),
                        indexes[0].first.c_str());
        }
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
        std::vector<double> ratios;
        for (std::size_t t = 0; t < options.repeats; ++t)
            ratios.push_back(peer_times[i].single_ms[t] / times[0].single_ms[t]);
        const auto search = [&](std::size_t q, std::size_t k) {
            std::vector<std::int64_t> ids;
            peers[i]->search(query_of(data, options, q).data(), 1, k, ids);
            for (std::int64_t &id : ids) // theirs begin at 0
                ++id;
            return ids;
        };
        std::printf("%s: %.3f ms a query, %.3f ms in batches of 32; %s takes 1/%.2f of the "
                    "time (median of ratios); recall@10 %.4f\n",
                    peers[i]->name().c_str(), median(peer_times[i].single_ms),
                    median(peer_times[i].batch_ms), indexes[0].first.c_str(), median(ratios),
                    recall(data, 10, search));
    }
    std::printf("peak memory of this run: %.0f MB\n", status_mb("VmHWM:"));
}

GalleryOptions gallery_options(const Options &options) {
    GalleryOptions made;
    made.index = options.kinds.front();
    made.search.threads = options.threads;
    return made;
}

int save(const Options &options) {
    GallerySnapshot snapshot;
    snapshot.version = 1;
    snapshot.stamp =
        EmbeddingStamp{"bench", "0", "none", "none", "none", static_cast<int>(options.dims)};
    const auto data = make_identities(options.rows, options.dims, 1);
    for (std::size_t i = 0; i < options.rows; ++i) {
        const std::string person = "person " + std::to_string(i % (options.rows / 10 + 1));
        const auto row = std::span(data).subspan(i * options.dims, options.dims);
        snapshot.faces.push_back(
            {static_cast<std::int64_t>(i) + 1, person, person, {row.begin(), row.end()}});
    }
    const auto gallery = MatchedGallery::build(std::move(snapshot), gallery_options(options));
    if (!gallery) {
        std::fprintf(stderr, "%s\n", gallery.error().message.c_str());
        return 3;
    }
    const double start = now_s();
    const auto written = write_index_file(options.save, (*gallery)->file());
    std::printf("%s: %s in %.2f s\n", options.kinds.front().c_str(),
                written ? "written" : written.error().message.c_str(), now_s() - start);
    return written ? 0 : 3;
}

int open(const Options &options) {
    const double start = now_s();
    auto file =
        read_index_file(options.open, options.kinds.front(), {.threads = options.threads});
    if (!file) {
        std::fprintf(stderr, "%s\n", file.error().message.c_str());
        return 3;
    }
    const auto gallery = MatchedGallery::open(std::move(*file), gallery_options(options));
    const auto dims = static_cast<std::size_t>((*gallery)->snapshot().stamp->dims);
    const std::size_t rows = (*gallery)->snapshot().faces.size();
    const auto people = (*gallery)->nearest_people(std::vector<float>(dims, 1.0F), 2);
    const double row_mb = static_cast<double>(rows * dims) * 4 / 1048576;
    std::printf("%s: %zu rows opened and searched once (%zu people found) in %.2f s; peak "
                "memory %.0f MB, %.2f of the rows as floats\n",
                options.kinds.front().c_str(), rows, people.size(), now_s() - start,
                status_mb("VmHWM:"), status_mb("VmHWM:") / row_mb);
    return 0;
}

int main_of(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto number = [&] {
            if (i + 1 >= argc) {
                std::fprintf(stderr, "%s: a number is missing\n", argument.c_str());
                std::exit(2);
            }
            return static_cast<std::size_t>(std::atoll(argv[++i]));
        };
        if (argument == "--rows")
            options.rows = number();
        else if (argument == "--dims")
            options.dims = number();
        else if (argument == "--queries")
            options.queries = number();
        else if (argument == "--repeats")
            options.repeats = number();
        else if (argument == "--threads")
            options.threads = static_cast<int>(number());
        else if (argument == "--save" && i + 1 < argc)
            options.save = argv[++i];
        else if (argument == "--open" && i + 1 < argc)
            options.open = argv[++i];
        else if (argument == "--saved" && i + 1 < argc)
            options.saved = argv[++i];
        else
            options.kinds.push_back(argument);
    }
    if (!options.save.empty() || !options.open.empty()) {
        if (options.kinds.size() != 1) {
            std::fprintf(stderr, "one kind of index, please\n");
            return 2;
        }
        return options.save.empty() ? open(options) : save(options);
    }
    if (options.kinds.empty())
        options.kinds = {"exact", "exact-bf16", "exact-int8", "peers"};
    run(options);
    return 0;
}

} // namespace
} // namespace sphere::bench

int main(int argc, char **argv) {
    return sphere::bench::main_of(argc, argv);
}
