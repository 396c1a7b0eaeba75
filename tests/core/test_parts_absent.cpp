// SPDX-License-Identifier: MIT
// A core that was built without any optional part: it works, and who asks for a part is told
// which option enables it.
#include "core/engine/engine.h"
#include "core/gallery/cluster.h"
#include "core/gallery/index.h"
#include "core/gallery/postgres_store.h"
#include "core/gallery/store.h"
#include "core/image/codec.h"
#include "core/publish/destination.h"
#include "core/publish/publisher.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_network.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace sphere {
namespace {

template <typename T> void expect_absent(const Result<T> &result, const std::string &option) {
    ASSERT_FALSE(result.ok()) << option;
    EXPECT_EQ(result.error().code, Errc::Unsupported) << result.error().message;
    EXPECT_NE(result.error().message.find("-D" + option + "=enabled"), std::string::npos)
        << result.error().message;
}

TEST(PartsAbsent, Publishing) {
    for (const auto &[location, option] : {std::pair{"mqtt://127.0.0.1/t", "mqtt"},
                                           {"kafka://127.0.0.1/t", "kafka"},
                                           {"https://127.0.0.1/hook", "webhook"}}) {
        PublishOptions options;
        options.location = location;
        expect_absent(make_destination(options), option);
    }
}

TEST(PartsAbsent, Engines) {
    for (const EngineInfo &engine : engine_backends()) {
        EXPECT_EQ(engine.built, std::string(engine.name) == "fake") << engine.name;
        EXPECT_TRUE(engine.version.empty()) << engine.name;
    }
    const testing_support::TemporaryDirectory directory;
    const ResolvedModel model = testing_support::tiny_model(directory, "onnx");
    for (const char *engine : {"opencv", "onednn", "onnxruntime"}) {
        EngineOptions options;
        options.engine = engine;
        expect_absent(acquire_engine(model, options), engine);
    }
    const auto any = acquire_engine(model, {});
    ASSERT_FALSE(any.ok());
    EXPECT_NE(any.error().message.find("=enabled"), std::string::npos) << any.error().message;
}

TEST(PartsAbsent, Galleries) {
    expect_absent(make_index("hnsw", 4, Metric::Cosine), "hnsw");
    expect_absent(make_index("faiss", 4, Metric::Cosine), "faiss");
    EXPECT_TRUE(make_index("exact", 4, Metric::Cosine).ok());
    expect_absent(open_store("postgresql://me:hunter2@host/faces", OpenMode::Existing),
                  "postgres");
    EXPECT_EQ(shown_location("postgresql://me:hunter2@host/faces"),
              "postgresql://me:***@host/faces");
    ClusterOptions options;
    options.method = "whispers";
    const std::vector<std::vector<float>> rows(3, {1, 0, 0, 0});
    expect_absent(cluster_faces(rows, options), "dlib");
}

TEST(PartsAbsent, Pictures) {
    expect_absent(read_image("picture.png"), "opencv");
}

} // namespace
} // namespace sphere
