// SPDX-License-Identifier: MIT
// A directory that is there as long as the object, and files in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sphere::testing_support {

class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        path_ = (std::filesystem::temp_directory_path() / "sphere-model-XXXXXX").string();
        if (mkdtemp(path_.data()) == nullptr)
            std::abort();
    }
    TemporaryDirectory(const TemporaryDirectory &) = delete;
    TemporaryDirectory &operator=(const TemporaryDirectory &) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string &path() const { return path_; }
    bool has(const std::string &name) const {
        return std::filesystem::exists(path_ + "/" + name);
    }

    /// Makes the folders that `name` needs.
    void write(const std::string &name, const std::string &text) const {
        const std::filesystem::path file = path_ + "/" + name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
    }
    std::string read(const std::string &name) const {
        std::ifstream in(path_ + "/" + name, std::ios::binary);
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }

  private:
    std::string path_;
};

} // namespace sphere::testing_support
