// SPDX-License-Identifier: MIT
// Where models are found, what is said when they are not, and the remembered hashes.
#include "core/model/store.h"

#include "core/base/log.h"
#include "core/base/sha256.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace sphere {
namespace {

using nlohmann::json;
using testing_support::TemporaryDirectory;

std::string hash_of(const std::string &text) {
    Sha256 sha;
    sha.update({reinterpret_cast<const std::uint8_t *>(text.data()), text.size()});
    return sha.finish_hex();
}

/// A landmark model: the task with the fewest keys. `content` is its one file's.
json points_model(const std::string &name, const std::string &content) {
    return {{"name", name},
            {"task", "landmark"},
            {"framework", "onnx"},
            {"decoder", "points68"},
            {"licence", "MIT"},
            {"outputs", {"out"}},
            {"input", {{"width", 64}, {"height", 64}}},
            {"files",
             {{{"name", name + ".onnx"},
               {"bytes", content.size()},
               {"sha256", hash_of(content)},
               {"sources", {{{"url", "https://example.org/" + name + ".onnx"}}}}}}}};
}

bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

class ModelStoreTest : public testing::Test {
  protected:
    ModelStoreTest() {
        setenv("XDG_CACHE_HOME", (root.path() + "/cache").c_str(), 1);
        setenv("XDG_DATA_HOME", (root.path() + "/data").c_str(), 1);
        set_log_sink([this](LogLevel level, std::string_view message) {
            log_lines.push_back((level == LogLevel::Info ? "info " : "warning ") +
                                std::string(message));
        });
    }
    ~ModelStoreTest() override { set_log_sink({}); }

    std::string cache_path() const { return root.path() + "/cache/sphere/sha256.json"; }
    json cache() const { return json::parse(root.read("cache/sphere/sha256.json")); }
    /// Hashes of files that changed within the last two seconds are not remembered.
    static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(2100)); }

    TemporaryDirectory root;
    std::vector<std::string> log_lines;
};

TEST_F(ModelStoreTest, DirectoriesComeInTheDocumentedOrder) {
    setenv("SPHERE_MODEL_PATH", "/first::/second/:/first", 1);
    const auto store = ModelStore::from_environment();
    unsetenv("SPHERE_MODEL_PATH");
    const auto &list = store.directories();
    ASSERT_EQ(list.size(), 5U)
        << "two of the variable, each once, the user's, the source's, the installed";
    EXPECT_EQ(list[0], "/first");
    EXPECT_EQ(list[1], "/second");
    EXPECT_EQ(list[2], ModelStore::user_directory());
    EXPECT_EQ(list[2], root.path() + "/data/sphere/models");
    EXPECT_TRUE(contains(list[3], "/models"));
    EXPECT_TRUE(contains(list[4], "/sphere/models"));
}

TEST_F(ModelStoreTest, UserDirectoryFollowsTheXdgSpecification) {
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", root.path().c_str(), 1);
    EXPECT_EQ(ModelStore::user_directory(), root.path() + "/.local/share/sphere/models");
    unsetenv("XDG_DATA_HOME");
    EXPECT_EQ(ModelStore::user_directory(), root.path() + "/.local/share/sphere/models");
}

TEST_F(ModelStoreTest, TheFirstDirectoryWinsAName) {
    json first = points_model("p", "one");
    first["title"] = "first";
    json second = points_model("p", "two");
    second["title"] = "second";
    root.write("a/p.json", first.dump());
    root.write("b/p.json", second.dump());
    root.write("b/q.json", points_model("q", "q").dump());
    const ModelStore store({root.path() + "/a", root.path() + "/b"});
    ASSERT_TRUE(store.find("p"));
    EXPECT_EQ(store.find("p")->title, "first");
    ASSERT_TRUE(store.find(root.path() + "/b/p.json"));
    EXPECT_EQ(store.find(root.path() + "/b/p.json")->title, "second") << "a path is a path";
    const auto list = store.list();
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].name, "p");
    EXPECT_EQ(list[0].title, "first");
    EXPECT_EQ(list[1].name, "q");
}

TEST_F(ModelStoreTest, AnUnknownNameListsTheKnownOnes) {
    root.write("a/p.json", points_model("p", "x").dump());
    root.write("a/q.json", points_model("q", "x").dump());
    const ModelStore store({root.path() + "/a", root.path() + "/none"});
    const auto model = store.find("nope");
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, Errc::NotFound);
    EXPECT_TRUE(contains(model.error().message,
                         "no model named nope; there are: p, q ('spherectl models list'"))
        << model.error().message;
    EXPECT_EQ(store.find("nope.json").error().code, Errc::NotFound);
    EXPECT_EQ(store.find("").error().code, Errc::InvalidArgument);
    EXPECT_EQ(store.find("a b").error().code, Errc::InvalidArgument);
}

TEST_F(ModelStoreTest, AWrongDescriptorIsToldOfAndLeftOut) {
    root.write("a/good.json", points_model("good", "x").dump());
    root.write("a/bad.json", "{");
    root.write("a/other.json", points_model("name", "x").dump());
    root.write("a/good.int8.json", "{}"); // a calibration
    const ModelStore store({root.path() + "/a"});
    const auto list = store.list();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].name, "good");
    EXPECT_EQ(log_lines.size(), 2U);
    EXPECT_EQ(store.find("bad").error().code, Errc::Corrupt);
    EXPECT_TRUE(contains(store.find("other").error().message, "must be \"other\""));
}

TEST_F(ModelStoreTest, AMissingFileIsNamedWithTheCommandThatGetsIt) {
    root.write("a/p.json", points_model("p", "content").dump());
    const ModelStore store({root.path() + "/a"});
    const auto resolved = store.resolve("p", ModelTask::Landmark);
    ASSERT_FALSE(resolved);
    EXPECT_EQ(resolved.error().code, Errc::NotFound);
    EXPECT_TRUE(contains(resolved.error().message, "p.onnx")) << resolved.error().message;
    EXPECT_TRUE(contains(resolved.error().message, "spherectl models fetch p"))
        << resolved.error().message;
    EXPECT_FALSE(store.installed(*store.find("p")));
    EXPECT_EQ(store.locate(*store.find("p"), store.find("p")->files[0]), "");
}

TEST_F(ModelStoreTest, WhatNoProgramFetchesIsSaid) {
    json page = points_model("page", "x");
    page["files"][0]["sources"] = {{{"page", "https://example.org/download"}}};
    json package = points_model("package", "x");
    package["files"][0]["sources"] = {
        {{"path", "/nonexistent/x.onnx"}, {"package", "some-data"}}};
    root.write("a/page.json", page.dump());
    root.write("a/package.json", package.dump());
    const ModelStore store({root.path() + "/a"});
    const auto by_hand = store.resolve("page", ModelTask::Landmark);
    ASSERT_FALSE(by_hand);
    EXPECT_TRUE(contains(by_hand.error().message, "https://example.org/download"));
    EXPECT_TRUE(contains(by_hand.error().message, ModelStore::user_directory()));
    const auto by_apt = store.resolve("package", ModelTask::Landmark);
    ASSERT_FALSE(by_apt);
    EXPECT_TRUE(contains(by_apt.error().message, "apt install some-data"));
}

TEST_F(ModelStoreTest, FilesAreSoughtBesideTheDescriptorThenInTheOthersThenAtThePath) {
    json model = points_model("p", "content");
    model["files"][0]["sources"] = {{{"path", root.path() + "/system/elsewhere.onnx"}}};
    root.write("a/p.json", model.dump());
    const ModelStore store({root.path() + "/b", root.path() + "/a"});
    const auto where = [&] {
        const auto resolved = store.resolve("p", ModelTask::Landmark);
        return resolved ? resolved->path_of("weights") : resolved.error().message;
    };
    root.write("system/elsewhere.onnx", "content");
    EXPECT_EQ(where(), root.path() + "/system/elsewhere.onnx");
    root.write("b/p.onnx", "content");
    EXPECT_EQ(where(), root.path() + "/b/p.onnx");
    root.write("a/p.onnx", "content");
    EXPECT_EQ(where(), root.path() + "/a/p.onnx");
    root.write("a/p.onnx", "a part"); // a broken copy does not hide a whole one
    EXPECT_EQ(where(), root.path() + "/b/p.onnx");
}

TEST_F(ModelStoreTest, ADamagedFileIsRefused) {
    root.write("a/p.json", points_model("p", "content").dump());
    const ModelStore store({root.path() + "/a"});
    root.write("a/p.onnx", "contenT");
    const auto damaged = store.resolve("p", ModelTask::Landmark);
    ASSERT_FALSE(damaged);
    EXPECT_EQ(damaged.error().code, Errc::Corrupt);
    EXPECT_TRUE(contains(damaged.error().message, root.path() + "/a/p.onnx is damaged"))
        << damaged.error().message;
    EXPECT_TRUE(contains(damaged.error().message, hash_of("contenT")));
    EXPECT_TRUE(contains(damaged.error().message, "spherectl models fetch p"));
    EXPECT_TRUE(store.installed(*store.find("p"))) << "installed() looks at sizes only";
    root.write("a/p.onnx", "short");
    const auto truncated = store.resolve("p", ModelTask::Landmark);
    ASSERT_FALSE(truncated);
    EXPECT_EQ(truncated.error().code, Errc::Corrupt);
    EXPECT_TRUE(contains(truncated.error().message, "has 5 bytes, not the 7"))
        << truncated.error().message;
    EXPECT_FALSE(store.installed(*store.find("p")));
    root.write("a/p.onnx", "content");
    const auto whole = store.resolve("p", ModelTask::Landmark);
    ASSERT_TRUE(whole) << whole.error().message;
    EXPECT_EQ(whole->sha256, hash_of("content"));
    EXPECT_EQ(whole->path_of("graph"), "");
}

TEST_F(ModelStoreTest, ATaskThatDoesNotFitIsRefused) {
    root.write("a/p.json", points_model("p", "x").dump());
    const ModelStore store({root.path() + "/a"});
    const auto resolved = store.resolve("p", ModelTask::Embed);
    ASSERT_FALSE(resolved);
    EXPECT_EQ(resolved.error().code, Errc::Mismatch);
    EXPECT_TRUE(contains(resolved.error().message, "landmark, not embed"));
}

// A fake has no file; it is stamped with its descriptor, so a changed fake is another model.
TEST_F(ModelStoreTest, AModelWithoutFilesIsStampedByItsDescriptor) {
    const std::string text =
        R"({"name": "f", "task": "detect", "framework": "fake", "decoder": "fake"})";
    root.write("a/f.json", text);
    const auto resolved = ModelStore({root.path() + "/a"}).resolve("f", ModelTask::Detect);
    ASSERT_TRUE(resolved) << resolved.error().message;
    EXPECT_EQ(resolved->sha256, hash_of(text));
}

json ultralight_like(const std::string &name, bool may_be_default) {
    json model = points_model(name, name);
    model["task"] = "detect";
    model["decoder"] = "ultralight";
    model["outputs"] = {"scores", "boxes"};
    model["may_be_default"] = may_be_default;
    return model;
}

TEST_F(ModelStoreTest, AutoTakesTheFirstInstalledDefaultAndSaysWhich) {
    ASSERT_EQ(default_models(ModelTask::Detect),
              (std::vector<std::string>{"yunet-640", "yunet-320", "ultralight"}));
    ASSERT_EQ(default_models(ModelTask::Embed),
              (std::vector<std::string>{"sphereface20-sphere", "fr_feature"}));
    const ModelStore store({root.path() + "/a"});
    const auto chosen = [&] {
        const auto resolved = store.resolve("auto", ModelTask::Detect);
        return resolved ? resolved->descriptor.name : resolved.error().message;
    };
    EXPECT_TRUE(contains(chosen(), "there is no default model for the task detect"))
        << chosen();
    root.write("a/yunet-640.json", ultralight_like("yunet-640", false).dump());
    root.write("a/yunet-640.onnx", "yunet-640");
    root.write("a/yunet-320.json", ultralight_like("yunet-320", true).dump());
    root.write("a/ultralight.json", ultralight_like("ultralight", true).dump());
    EXPECT_TRUE(contains(chosen(), "spherectl models fetch yunet-320")) << chosen();
    root.write("a/ultralight.onnx", "ultralight");
    log_lines.clear();
    EXPECT_EQ(chosen(), "ultralight");
    ASSERT_EQ(log_lines.size(), 1U);
    EXPECT_TRUE(contains(log_lines[0], "info model for detect: ultralight")) << log_lines[0];
    root.write("a/yunet-320.onnx", "yunet-320");
    EXPECT_EQ(chosen(), "yunet-320");
    root.write("a/yunet-640.json", ultralight_like("yunet-640", true).dump());
    EXPECT_EQ(chosen(), "yunet-640");
    root.write("a/yunet-640.onnx", "yunet-641"); // damaged: an error, not silently the next one
    EXPECT_TRUE(contains(chosen(), "is damaged")) << chosen();
}

TEST_F(ModelStoreTest, AHashIsRememberedUntilTheFileChanges) {
    root.write("a/p.json", points_model("p", "content").dump());
    root.write("a/p.onnx", "content");
    const ModelStore store({root.path() + "/a"});
    const std::string file = root.path() + "/a/p.onnx";
    ASSERT_TRUE(store.resolve("p", ModelTask::Landmark));
    EXPECT_NE(access(cache_path().c_str(), F_OK), 0) << "not yet: it may still change unseen";
    settle();
    ASSERT_TRUE(store.resolve("p", ModelTask::Landmark));
    ASSERT_EQ(cache().at(file).at("sha256"), hash_of("content"));
    struct stat st {};
    ASSERT_EQ(stat(cache_path().c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
    // A forged entry shows that it is used …
    json forged = cache();
    forged[file]["sha256"] = std::string(64, '0');
    root.write("cache/sphere/sha256.json", forged.dump());
    ASSERT_EQ(chmod(cache_path().c_str(), 0600), 0);
    EXPECT_TRUE(contains(store.resolve("p", ModelTask::Landmark).error().message,
                         std::string(64, '0')));
    // … and that it is not once the file is another one, though of equal size.
    root.write("a/p.onnx", "content");
    EXPECT_TRUE(store.resolve("p", ModelTask::Landmark));
    root.write("a/p.onnx", "CONTENT");
    EXPECT_EQ(store.resolve("p", ModelTask::Landmark).error().code, Errc::Corrupt);
}

TEST_F(ModelStoreTest, ADamagedOrForeignCacheIsNoHindrance) {
    root.write("a/p.json", points_model("p", "content").dump());
    root.write("a/p.onnx", "content");
    const ModelStore store({root.path() + "/a"});
    const std::string file = root.path() + "/a/p.onnx";
    settle();
    for (const std::string &text :
         {std::string("not json"), std::string(), std::string("[1]"), "{\"" + file + "\": 5}",
          "{\"" + file + "\": {\"sha256\": \"short\"}}", std::string(2'000'000, ' '),
          std::string(100'000, '[')}) {
        root.write("cache/sphere/sha256.json", text);
        ASSERT_EQ(chmod(cache_path().c_str(), 0600), 0);
        EXPECT_TRUE(store.resolve("p", ModelTask::Landmark)) << text.substr(0, 60);
        EXPECT_EQ(cache().at(file).at("sha256"), hash_of("content")) << "it is mended";
    }
    // Others could have written what everybody may write.
    json forged = cache();
    forged[file]["sha256"] = std::string(64, '0');
    root.write("cache/sphere/sha256.json", forged.dump());
    ASSERT_EQ(chmod(cache_path().c_str(), 0666), 0);
    EXPECT_TRUE(store.resolve("p", ModelTask::Landmark));
    // A cache that cannot be written: a file where its directory should be.
    setenv("XDG_CACHE_HOME", (root.path() + "/a/p.onnx").c_str(), 1);
    EXPECT_TRUE(store.resolve("p", ModelTask::Landmark));
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    EXPECT_TRUE(store.resolve("p", ModelTask::Landmark));
}

TEST_F(ModelStoreTest, SeveralProcessesKeepEachOthersHashes) {
    constexpr int kProcesses = 8;
    for (int i = 0; i < kProcesses; ++i) {
        const std::string name = "p" + std::to_string(i);
        root.write("a/" + name + ".json", points_model(name, name).dump());
        root.write("a/" + name + ".onnx", name);
    }
    settle();
    const ModelStore store({root.path() + "/a"});
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
        const pid_t child = fork();
        if (child == 0)
            _exit(store.resolve("p" + std::to_string(i), ModelTask::Landmark) ? 0 : 1);
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(cache().size(), static_cast<std::size_t>(kProcesses));
}

} // namespace
} // namespace sphere
