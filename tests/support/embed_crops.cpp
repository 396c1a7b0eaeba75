// SPDX-License-Identifier: MIT
// For the parity tests: embeddings of given crops. usage: sphere-test-embed MODEL FLIP CROPS
// OUT CROPS: raw 8-bit BGR, one after another, of the model's template; OUT: float32, a row a
// crop.
#include "core/face/embedder.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

int main(int argc, char **argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: sphere-test-embed MODEL FLIP CROPS OUT\n");
        return 2;
    }
    sphere::EngineOptions options;
    options.engine = "opencv";
    options.precision = sphere::Precision::Fp32;
    const auto embedder =
        sphere::Embedder::make(sphere::ModelStore::from_environment(), argv[1],
                               sphere::parse_flip_mode(argv[2]), options);
    if (!embedder) {
        std::fprintf(stderr, "%s\n", embedder.error().message.c_str());
        return 1;
    }
    std::ifstream in(argv[3], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    const auto &tmpl = (*embedder)->align_template();
    const std::size_t size = static_cast<std::size_t>(tmpl.width) * tmpl.height * 3;
    std::vector<sphere::Image> crops;
    for (std::size_t at = 0; at + size <= bytes.size(); at += size) {
        crops.emplace_back(tmpl.width, tmpl.height);
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size,
                    crops.back().bgr.begin());
    }
    std::vector<const sphere::Image *> pointers;
    for (const sphere::Image &crop : crops)
        pointers.push_back(&crop);
    const auto embeddings = (*embedder)->embed(pointers);
    if (!embeddings) {
        std::fprintf(stderr, "%s\n", embeddings.error().message.c_str());
        return 1;
    }
    std::ofstream out(argv[4], std::ios::binary);
    for (const sphere::Embedding &embedding : *embeddings)
        out.write(reinterpret_cast<const char *>(embedding.values.data()),
                  static_cast<std::streamsize>(embedding.values.size() * sizeof(float)));
    return out.flush() ? 0 : 1;
}
