// SPDX-License-Identifier: MIT
// What tests of galleries and publishers share: a folder of their own, faces, child processes.
#pragma once

#include "core/gallery/store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <random>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace sphere::testing {

/// A folder that is there as long as the object. Anybody may enter it: some tests change their
/// user.
class TempDir {
  public:
    TempDir() {
        std::string name =
            (std::filesystem::temp_directory_path() / "sphere-test-XXXXXX").string();
        if (!mkdtemp(name.data()))
            std::abort();
        path_ = name;
        std::filesystem::permissions(path_, std::filesystem::perms(0755));
    }
    TempDir(const TempDir &) = delete;
    TempDir &operator=(const TempDir &) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::permissions(path_, std::filesystem::perms(0700), ignored);
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(const std::string &name) const { return (path_ / name).string(); }
    std::string path() const { return path_.string(); }

  private:
    std::filesystem::path path_;
};

inline std::string read_bytes(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::string &path, const std::string &bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/// The block of SQL in docs/postgres.md after the comment `name`.
inline std::string documented_sql(const std::string &name) {
    const char *source = std::getenv("SPHERE_SOURCE_ROOT");
    const std::string text =
        read_bytes((source != nullptr ? source : ".") + std::string("/docs/postgres.md"));
    const std::string start = "<!-- " + name + " -->\n```sql\n";
    const std::size_t begin = text.find(start);
    EXPECT_NE(begin, std::string::npos) << name << ": not in docs/postgres.md";
    if (begin == std::string::npos)
        return {};
    return text.substr(begin + start.size(),
                       text.find("```\n", begin + start.size()) - begin - start.size());
}

inline EmbeddingStamp test_stamp(int dims = 4) {
    return {"test-model", std::string(64, 'a'), "bgr-127.5", "sphereface-112x96", "concat",
            dims};
}

inline std::vector<float> random_values(std::mt19937 &random, int count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float &value : values)
        value = normal(random);
    return values;
}

inline Enrolment test_face(const std::string &person, std::vector<float> embedding) {
    Enrolment face;
    face.person_id = person;
    face.source = person + ".jpg";
    face.embedding = std::move(embedding);
    return face;
}

/// Runs `body` in a child process and returns its exit status; 128 + signal if it was killed.
inline int in_child(const std::function<int()> &body) {
    const pid_t child = fork();
    if (child == 0)
        _exit(body());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Like in_child, as a user to whom file permissions apply. Files of the test belong to root
/// when the test runs as root: then the child sees them as "others".
inline int in_unprivileged_child(const std::function<int()> &body) {
    return in_child([&] {
        constexpr int kNobody = 65534;
        if (geteuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0))
            return 99;
        return body();
    });
}

} // namespace sphere::testing
