// SPDX-License-Identifier: MIT
// How fast a gallery takes ready embeddings: Store::enrol in bulk, export, import, load.
//   bench_gallery FOLDER [FACES] [DIMS]
#include "core/gallery/portable.h"
#include "core/gallery/store.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void report(const char *what, int faces, double seconds) {
    std::printf("%-28s %7.2f s  %9.0f faces/s\n", what, seconds, faces / seconds);
    std::fflush(stdout);
}

template <typename T> T need(sphere::Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().message.c_str());
        std::exit(1);
    }
    return std::move(*result);
}

std::vector<sphere::Enrolment> make_faces(int count, int dims) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<sphere::Enrolment> faces(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        sphere::Enrolment &face = faces[static_cast<std::size_t>(i)];
        face.person_id = "person-" + std::to_string(i / 10);
        face.source = "picture-" + std::to_string(i) + ".jpg";
        face.embedding.resize(static_cast<std::size_t>(dims));
        for (float &value : face.embedding)
            value = normal(random);
    }
    return faces;
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: bench_gallery FOLDER [FACES] [DIMS]\n");
        return 2;
    }
    const std::string folder = argv[1];
    const int count = argc > 2 ? std::atoi(argv[2]) : 100'000;
    const int dims = argc > 3 ? std::atoi(argv[3]) : 512;
    std::filesystem::create_directories(folder);
    const std::string path = folder + "/bench.gallery";
    const std::string copy = folder + "/copy.gallery";
    const sphere::EmbeddingStamp stamp{"bench", std::string(64, '0'), "none", "none", "none",
                                       dims};
    constexpr std::size_t kBatch = 8192;
    const std::vector<sphere::Enrolment> faces = make_faces(count, dims);
    {
        auto store = need(sphere::open_store(path, sphere::OpenMode::CreateIfMissing));
        const auto start = Clock::now();
        for (std::size_t i = 0; i < faces.size(); i += kBatch) {
            const std::size_t end = std::min(i + kBatch, faces.size());
            need(store->enrol(stamp, {faces.begin() + static_cast<std::ptrdiff_t>(i),
                                      faces.begin() + static_cast<std::ptrdiff_t>(end)}));
        }
        report("enrol, 8192 a transaction", count, seconds_since(start));
    }
    auto store = need(sphere::open_store(path, sphere::OpenMode::Existing));
    auto start = Clock::now();
    if (need(store->load()).faces.size() != faces.size())
        return 1;
    report("load", count, seconds_since(start));
    auto admin = need(sphere::open_people_admin(path));
    start = Clock::now();
    need(sphere::export_gallery(*store, *admin, folder + "/exported", true, {}));
    report("export", count, seconds_since(start));
    sphere::ImportTarget target;
    target.open = [&] { return sphere::open_store(copy, sphere::OpenMode::CreateIfMissing); };
    target.open_admin = [&] { return sphere::open_people_admin(copy); };
    start = Clock::now();
    need(sphere::import_gallery(folder + "/exported", target, {}, {}));
    report("import, with all checks", count, seconds_since(start));
    return 0;
}
