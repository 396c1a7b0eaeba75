// SPDX-License-Identifier: MIT
// Picture files, and what may be in them.
#include "core/image/codec.h"

#include "core/base/log.h"
#include "core/base/part.h"
#include "core/image/codec_opencv.h"
#include "core/image/probe.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere {
namespace {

/// Largest file that is read: uncompressed, the largest picture takes 768 MB.
constexpr long long kMaxFileBytes = 1LL << 30;
constexpr int kJpegQuality = 95;

Error errno_error(int error, std::string_view doing, const std::string &path) {
    Errc code = Errc::Io;
    if (error == ENOENT || error == ENOTDIR)
        code = Errc::NotFound;
    else if (error == EACCES || error == EPERM || error == EROFS)
        code = Errc::Permission;
    else if (error == ENOSPC || error == EDQUOT)
        code = Errc::NoSpace;
    return fail(code, doing, " ", path, ": ", std::strerror(error));
}

class FileDescriptor {
  public:
    explicit FileDescriptor(int fd) : fd_(fd) {}
    ~FileDescriptor() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    FileDescriptor(const FileDescriptor &) = delete;
    FileDescriptor &operator=(const FileDescriptor &) = delete;
    int get() const { return fd_; }
    int close() {
        const int fd = fd_;
        fd_ = -1;
        return ::close(fd);
    }

  private:
    int fd_;
};

Result<std::vector<std::uint8_t>> read_file(const std::string &path) {
    // O_NONBLOCK: opening a FIFO that nobody writes to must not hang; regular files ignore it.
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info {};
    if (file.get() < 0 || ::fstat(file.get(), &info) != 0)
        return errno_error(errno, "cannot read picture", path);
    if (!S_ISREG(info.st_mode))
        return fail(Errc::Corrupt, path, " is not a file");
    if (info.st_size > kMaxFileBytes)
        return fail(Errc::Corrupt, path, " is too large for a picture (", info.st_size,
                    " bytes, at most ", kMaxFileBytes, ")");
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(info.st_size));
    std::size_t got = 0;
    while (got < bytes.size()) {
        const ssize_t n = ::read(file.get(), bytes.data() + got, bytes.size() - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno_error(errno, "cannot read picture", path);
        if (n == 0)
            break; // it shrank meanwhile
        got += static_cast<std::size_t>(n);
    }
    bytes.resize(got);
    return bytes;
}

Result<void> check_header(const std::string &path, const std::vector<std::uint8_t> &bytes,
                          const std::optional<PictureHeader> &header) {
    if (bytes.empty())
        return fail(Errc::Corrupt, path, " is empty");
    if (!header)
        return fail(
            Errc::Corrupt, path,
            " is not a picture (JPEG, PNG, BMP, WebP, TIFF or PNM), or its header is damaged");
    if (header->width > kMaxImagePixels || header->height > kMaxImagePixels ||
        header->width * header->height > kMaxImagePixels)
        return fail(Errc::Corrupt, path, " is too large: ", header->width, "x", header->height,
                    " pixels, at most ", kMaxImagePixels / 1'000'000, " megapixels are read");
    return {};
}

bool usable(const Image &image) {
    return image.width > 0 && image.height > 0 &&
           image.bgr.size() == static_cast<std::size_t>(image.width) *
                                   static_cast<std::size_t>(image.height) * 3;
}

Result<const PictureCoder *> coder() {
    return part_table<PictureCoder>("opencv", "sphere_opencv_picture_coder");
}

Result<std::vector<std::uint8_t>> encode(const Image &image, const char *extension,
                                         int jpeg_quality) {
    if (!usable(image))
        return fail(Errc::InvalidArgument, "an empty picture cannot be encoded");
    const auto with = coder();
    if (!with)
        return with.error();
    return (*with)->encode(image, extension, jpeg_quality);
}

/// Writes through a neighbour of mode 0600 that replaces `path` when it is whole.
Result<void> write_file(const std::string &path, const std::vector<std::uint8_t> &bytes) {
    std::string temporary = path + ".XXXXXX";
    FileDescriptor file(::mkstemp(temporary.data())); // mode 0600
    if (file.get() < 0)
        return errno_error(errno, "cannot write picture", path);
    const auto give_up = [&](int error) {
        ::unlink(temporary.c_str());
        return errno_error(error, "cannot write picture", path);
    };
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::write(file.get(), bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return give_up(errno);
        done += static_cast<std::size_t>(n);
    }
    if (file.close() != 0)
        return give_up(errno);
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        return give_up(errno);
    return {};
}

} // namespace

Result<Image> read_image(const std::string &path) {
    auto bytes = read_file(path);
    if (!bytes)
        return std::move(bytes).error();
    return decode_image(path, *bytes);
}

Result<Image> decode_image(const std::string &path, const std::vector<std::uint8_t> &bytes) {
    const std::optional<PictureHeader> header = probe_picture(bytes);
    SPHERE_TRY(check_header(path, bytes, header));
    const auto with = coder();
    if (!with)
        return with.error();
    auto image = (*with)->decode(bytes);
    if (!image)
        return fail(image.error().code, path, " cannot be decoded: ", image.error().message);
    if (image->width == 0)
        return fail(Errc::Corrupt, path, ": the ", header->format,
                    " data is damaged or of a kind that OpenCV cannot decode");
    if (header->ends_early)
        log(LogLevel::Warning,
            path + " ends early (truncated JPEG): its lower part is missing");
    return image;
}

Result<void> write_image(const std::string &path, const Image &image) {
    const std::size_t dot = path.find_last_of("./");
    std::string extension =
        dot == std::string::npos || path[dot] == '/' ? "" : path.substr(dot);
    std::ranges::transform(extension, extension.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (extension != ".jpg" && extension != ".jpeg" && extension != ".png")
        return fail(Errc::InvalidArgument, "cannot write ", path,
                    ": its name must end in .jpg, .jpeg or .png");
    auto bytes =
        extension == ".png" ? encode(image, ".png", 0) : encode_jpeg(image, kJpegQuality);
    if (!bytes) {
        Error error = std::move(bytes).error();
        error.message = "cannot write " + path + ": " + error.message;
        return error;
    }
    return write_file(path, *bytes);
}

Result<std::vector<std::uint8_t>> encode_jpeg(const Image &image, int quality) {
    if (quality < 0 || quality > 100)
        return fail(Errc::InvalidArgument, "JPEG quality ", quality, " is not within 0 to 100");
    return encode(image, ".jpg", quality);
}

Result<void> load_picture_coder() {
    const auto with = coder();
    if (!with)
        return with.error();
    return {};
}

} // namespace sphere
