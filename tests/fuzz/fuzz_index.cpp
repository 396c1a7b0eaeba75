// SPDX-License-Identifier: MIT
// libFuzzer: any bytes as what follows the header of an index file; the header is made to fit,
// checksums included. What is read must be searchable and changeable.
#include "core/base/log.h"
#include "core/gallery/index_file.h"
#include "core/gallery/index_stream.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace {

constexpr const char *kKinds[] = {"exact", "exact-bf16", "exact-int8", "hnsw"};

struct WorkDir {
    std::string path;
    WorkDir() {
        std::error_code error;
        path = std::filesystem::is_directory("/dev/shm", error) ? "/dev/shm/fuzz-index-XXXXXX"
                                                                : "fuzz-index-XXXXXX";
        if (!mkdtemp(path.data()))
            std::abort();
    }
    WorkDir(const WorkDir &) = delete;
    WorkDir &operator=(const WorkDir &) = delete;
    ~WorkDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
};

void require(bool condition) {
    if (!condition)
        std::abort();
}

template <typename T> void put(std::string &bytes, T value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
}

/// The header as index_file.cpp has it.
std::string with_header(const std::string &payload, std::uint64_t rows, std::uint32_t dims,
                        std::uint32_t metric) {
    std::string header = "SPHIDX\r\n";
    put<std::uint32_t>(header, 0x01020304);
    put<std::uint32_t>(header, 2);
    put<std::int64_t>(header, 1);
    put<std::uint64_t>(header, rows);
    put<std::uint32_t>(header, dims);
    put<std::uint32_t>(header, metric);
    put<std::uint64_t>(header, payload.size());
    sphere::StreamSum sum;
    sum.add(payload.data(), payload.size());
    put<std::uint64_t>(header, sum.value());
    sphere::StreamSum own;
    own.add(header.data(), header.size());
    put<std::uint64_t>(header, own.value());
    return header + payload;
}

void use(const sphere::IndexFile &file) {
    const auto dims = static_cast<std::size_t>(file.snapshot.stamp->dims);
    const std::vector<float> query(dims, 0.5F);
    for (const std::size_t k : {std::size_t{1}, std::size_t{5}, file.index->size() + 1}) {
        const auto hits = file.index->search(query, k);
        require(hits.ok() && hits->size() <= k && hits->size() <= file.index->size());
        for (const sphere::Hit &hit : *hits)
            require(!std::isnan(hit.distance));
    }
    auto fork = file.index->fork();
    require(fork.ok());
    const std::int64_t id = 123456789;
    if ((*fork)->add({&id, 1}, query).ok())
        require(*(*fork)->remove({&id, 1}) == 1);
    for (const sphere::EnrolledFace &face : file.snapshot.faces)
        (void)(*fork)->remove({&face.face_id, 1});
}

} // namespace

/// Four bytes (kind and metric, faces, dims) and the payload.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size < 4 || size > (1 << 20))
        return 0;
    sphere::set_log_sink({});
    static const WorkDir dir;
    const std::string kind = kKinds[data[0] % 4];
    const std::string payload(reinterpret_cast<const char *>(data) + 4, size - 4);
    const std::string bytes =
        with_header(payload, data[1] + 256U * data[2], data[3], data[0] / 4 % 2);
    const std::string gallery = dir.path + "/g";
    std::FILE *file = std::fopen(sphere::index_file_path(gallery, kind).c_str(), "wb");
    require(file != nullptr);
    require(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
    std::fclose(file);
    const auto read = sphere::read_index_file(gallery, kind, {});
    if (read)
        use(*read);
    else
        require(!read.error().message.empty());
    return 0;
}
