// SPDX-License-Identifier: MIT
// Names of a descriptor's enumerations, and the reading of its file.
#include "core/model/descriptor.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {

const char *model_task_name(ModelTask task) {
    switch (task) {
    case ModelTask::Detect:
        return "detect";
    case ModelTask::Landmark:
        return "landmark";
    case ModelTask::Embed:
        return "embed";
    case ModelTask::Attribute:
        return "attribute";
    }
    return "";
}

const char *flip_mode_name(FlipMode mode) {
    switch (mode) {
    case FlipMode::None:
        return "none";
    case FlipMode::Concat:
        return "concat";
    case FlipMode::Sum:
        return "sum";
    }
    return "";
}

std::optional<FlipMode> parse_flip_mode(std::string_view name) {
    for (const FlipMode mode : {FlipMode::None, FlipMode::Concat, FlipMode::Sum})
        if (name == flip_mode_name(mode))
            return mode;
    return std::nullopt;
}

Result<ModelDescriptor> load_descriptor(const std::string &path) {
    // O_NONBLOCK: a fifo must not hang us; the check for a regular file follows.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const int error = errno;
        if (error == ENOENT || error == ENOTDIR)
            return fail(Errc::NotFound, "no model descriptor ", path);
        return fail(error == EACCES ? Errc::Permission : Errc::Io,
                    "cannot open the model descriptor ", path, ": ", std::strerror(error));
    }
    struct stat st {};
    std::string text;
    Result<void> state;
    if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        state = fail(Errc::Corrupt, path, ": not a regular file");
    else if (static_cast<std::uint64_t>(st.st_size) > kMaxDescriptorBytes)
        state = fail(Errc::Corrupt, path, ": larger than ", kMaxDescriptorBytes,
                     " bytes, so not a model descriptor");
    std::array<char, 4096> buffer{};
    while (state && text.size() <= kMaxDescriptorBytes) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno != EINTR)
            state = fail(Errc::Io, "cannot read ", path, ": ", std::strerror(errno));
        if (got == 0)
            break;
        if (got > 0)
            text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    ::close(fd);
    if (!state)
        return state.error();
    return parse_descriptor(text, path);
}

} // namespace sphere
