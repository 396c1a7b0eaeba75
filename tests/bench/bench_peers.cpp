// SPDX-License-Identifier: MIT
// Faiss and hnswlib as their own documentation uses them.
#include "tests/bench/bench_peers.h"

#include <chrono>
#include <cstdio>
#include <thread>

#if defined(SPHERE_BENCH_FAISS)
#include <faiss/IndexFlat.h>
#include <omp.h>
#endif
#if defined(SPHERE_BENCH_HNSWLIB)
#include <hnswlib/hnswlib.h>
#endif

namespace sphere::bench {
namespace {

#if defined(SPHERE_BENCH_FAISS)
class FaissFlat final : public Peer {
  public:
    FaissFlat(const std::vector<float> &rows, std::size_t dims, int threads)
        : threads_(threads), index_(static_cast<faiss::Index::idx_t>(dims)) {
        omp_set_num_threads(threads);
        index_.add(static_cast<faiss::Index::idx_t>(rows.size() / dims), rows.data());
    }
    std::string name() const override {
        return "Faiss " + std::to_string(FAISS_VERSION_MAJOR) + "." +
               std::to_string(FAISS_VERSION_MINOR) + "." + std::to_string(FAISS_VERSION_PATCH) +
               " IndexFlatIP, " + std::to_string(threads_) + " thread(s)";
    }
    void search(const float *queries, std::size_t count, std::size_t k,
                std::vector<std::int64_t> &ids) override {
        std::vector<float> distances(count * k);
        std::vector<faiss::Index::idx_t> labels(count * k);
        index_.search(static_cast<faiss::Index::idx_t>(count), queries,
                      static_cast<faiss::Index::idx_t>(k), distances.data(), labels.data());
        ids.assign(labels.begin(), labels.end());
    }

  private:
    int threads_;
    faiss::IndexFlatIP index_;
};
#endif

#if defined(SPHERE_BENCH_HNSWLIB)
class Hnswlib final : public Peer {
  public:
    static constexpr std::size_t kM = 16, kEfConstruction = 200, kEf = 200;
    Hnswlib(const std::vector<float> &rows, std::size_t dims)
        : space_(dims), graph_(&space_, rows.size() / dims, kM, kEfConstruction), dims_(dims) {
        const auto start = std::chrono::steady_clock::now();
        graph_.addPoint(rows.data(), 0);
        const std::size_t count = rows.size() / dims;
        const std::size_t parts = std::max(1U, std::thread::hardware_concurrency());
        std::vector<std::thread> threads;
        for (std::size_t part = 0; part < parts; ++part)
            threads.emplace_back([&, part] {
                for (std::size_t i = 1 + part; i < count; i += parts)
                    graph_.addPoint(&rows[i * dims], i);
            });
        for (std::thread &thread : threads)
            thread.join();
        graph_.setEf(kEf);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        std::printf("hnswlib      built in %.1f s by %zu threads\n", took.count(), parts);
    }
    std::string name() const override {
        return "hnswlib InnerProductSpace, M 16, ef_construction 200, ef 200, 1 thread";
    }
    void search(const float *queries, std::size_t count, std::size_t k,
                std::vector<std::int64_t> &ids) override {
        ids.clear();
        for (std::size_t q = 0; q < count; ++q) {
            auto found = graph_.searchKnn(queries + q * dims_, k);
            for (; !found.empty(); found.pop())
                ids.push_back(static_cast<std::int64_t>(found.top().second));
        }
    }

  private:
    hnswlib::InnerProductSpace space_;
    hnswlib::HierarchicalNSW<float> graph_;
    std::size_t dims_;
};
#endif

} // namespace

std::vector<std::unique_ptr<Peer>> make_peers([[maybe_unused]] const std::vector<float> &rows,
                                              [[maybe_unused]] std::size_t dims,
                                              [[maybe_unused]] int threads,
                                              [[maybe_unused]] bool with_hnsw) {
    std::vector<std::unique_ptr<Peer>> peers;
#if defined(SPHERE_BENCH_FAISS)
    peers.push_back(std::make_unique<FaissFlat>(rows, dims, threads));
#else
    std::printf("faiss        not found when this was built\n");
#endif
#if defined(SPHERE_BENCH_HNSWLIB)
    if (with_hnsw)
        peers.push_back(std::make_unique<Hnswlib>(rows, dims));
#endif
    return peers;
}

} // namespace sphere::bench
