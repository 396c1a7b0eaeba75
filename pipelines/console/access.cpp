// SPDX-License-Identifier: MIT
#include "pipelines/console/access.h"

#include <glib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sphere::console {
namespace {

constexpr std::size_t kTokenDigits = 64;

struct Descriptor {
    int fd = -1;
    explicit Descriptor(int opened) : fd(opened) {}
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor() {
        if (fd >= 0)
            ::close(fd);
    }
};

std::string environment(const char *name) {
    const gchar *value = g_getenv(name);
    return value != nullptr ? value : "";
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(g_ascii_tolower(c)); });
    return result;
}

bool is_token(std::string_view text) {
    return text.size() == kTokenDigits && std::all_of(text.begin(), text.end(), [](char c) {
               return g_ascii_isxdigit(c) != FALSE;
           });
}

Error io_error(const std::string &what, const std::string &path, int code) {
    return fail(code == EACCES || code == EPERM ? Errc::Permission : Errc::Io, what, " ", path,
                ": ", g_strerror(code), ". Set \"token_file\" to a place of your own.");
}

Result<std::string> random_token() {
    std::array<unsigned char, kTokenDigits / 2> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return fail(Errc::Io, "the system gives no random numbers: ", g_strerror(errno));
    constexpr const char *kDigits = "0123456789abcdef";
    std::string token;
    for (const unsigned char byte : bytes) {
        token += kDigits[byte >> 4];
        token += kDigits[byte & 15];
    }
    return token;
}

Result<std::string> read_token(int fd, const std::string &path) {
    struct stat info {};
    if (fstat(fd, &info) != 0)
        return io_error("cannot read", path, errno);
    if (!S_ISREG(info.st_mode))
        return fail(Errc::Corrupt, path, " is not a regular file: it should hold the token");
    if (info.st_uid != geteuid() || (info.st_mode & 077) != 0)
        return fail(Errc::Permission, path,
                    ": the token must be its user's alone. Run: chmod 600 ", path,
                    ", or remove it, and a new one is made.");
    std::array<char, kTokenDigits + 2> text{};
    const ssize_t got = read(fd, text.data(), text.size());
    if (got < 0)
        return io_error("cannot read", path, errno);
    std::string_view token(text.data(), static_cast<std::size_t>(got));
    if (!token.empty() && token.back() == '\n')
        token.remove_suffix(1);
    if (!is_token(token))
        return fail(Errc::Corrupt, path, " does not hold a token (", kTokenDigits,
                    " hexadecimal digits). Remove it, and a new one is made.");
    return std::string(token);
}

/// Written beside and linked into place: nobody reads half a token.
Result<void> write_token(const std::string &path, const std::string &token) {
    const std::string temporary = path + "." + std::to_string(getpid()) + ".new";
    ::unlink(temporary.c_str());
    {
        const Descriptor file(::open(
            temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (file.fd < 0)
            return io_error("cannot make", temporary, errno);
        const std::string line = token + "\n";
        if (fchmod(file.fd, 0600) != 0 ||
            write(file.fd, line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
            fsync(file.fd) != 0) {
            const int code = errno;
            ::unlink(temporary.c_str());
            return io_error("cannot write", temporary, code);
        }
    }
    const int linked = ::link(temporary.c_str(), path.c_str());
    const int code = errno;
    ::unlink(temporary.c_str());
    if (linked != 0 && code != EEXIST)
        return io_error("cannot make", path, code);
    return {};
}

} // namespace

bool equal_secrets(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size())
        return false;
    volatile unsigned char difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference = static_cast<unsigned char>(
            difference | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i])));
    return difference == 0;
}

std::string default_token_file() {
    // systemd may name several directories.
    std::string directory = environment("STATE_DIRECTORY");
    directory = directory.substr(0, directory.find(':'));
    if (directory.empty())
        directory = std::string(g_get_user_state_dir()) + "/sphere";
    return directory + "/console.token";
}

Result<std::string> load_or_make_token(const std::string &path) {
    const auto open_existing = [&path] {
        return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    };
    {
        const Descriptor file(open_existing());
        if (file.fd >= 0)
            return read_token(file.fd, path);
        if (errno != ENOENT)
            return io_error("cannot open", path, errno);
    }
    gchar *directory = g_path_get_dirname(path.c_str());
    const int made = g_mkdir_with_parents(directory, 0700);
    const int code = errno;
    const std::string parent = directory;
    g_free(directory);
    if (made != 0)
        return io_error("cannot make", parent, code);
    const auto token = random_token();
    if (!token)
        return token.error();
    SPHERE_TRY(write_token(path, *token));
    // Another process may have been first: its token counts.
    const Descriptor file(open_existing());
    if (file.fd < 0)
        return io_error("cannot open", path, errno);
    return read_token(file.fd, path);
}

std::string Sessions::sign(const std::string &issued) const {
    gchar *hmac = g_compute_hmac_for_string(
        G_CHECKSUM_SHA256, reinterpret_cast<const guchar *>(token_.data()), token_.size(),
        issued.data(), static_cast<gssize>(issued.size()));
    std::string signature = hmac;
    g_free(hmac);
    return signature;
}

std::string Sessions::issue(std::int64_t now_s) const {
    const std::string issued = "session " + std::to_string(now_s);
    return std::to_string(now_s) + "." + sign(issued);
}

bool Sessions::valid(std::string_view cookie, std::int64_t now_s) const {
    const auto dot = cookie.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot > 18)
        return false;
    const std::string number(cookie.substr(0, dot));
    if (!std::all_of(number.begin(), number.end(), [](char c) { return g_ascii_isdigit(c); }))
        return false;
    const std::int64_t issued_s = g_ascii_strtoll(number.c_str(), nullptr, 10);
    return equal_secrets(cookie.substr(dot + 1), sign("session " + number)) &&
           issued_s <= now_s + 60 && now_s - issued_s < kLifetime_s;
}

OwnNames::OwnNames(const std::string &address, unsigned port,
                   const std::vector<std::string> &extra) {
    const std::string suffix = ":" + std::to_string(port);
    const auto add = [&](const std::string &host) {
        names_.push_back(lower(host) + suffix);
        if (port == 80)
            names_.push_back(lower(host));
    };
    for (const char *host : {"127.0.0.1", "localhost", "[::1]"})
        add(host);
    // An address of all interfaces is nobody's name.
    if (address != "0.0.0.0" && address != "::")
        add(address.find(':') == std::string::npos ? address : "[" + address + "]");
    for (const std::string &name : extra) {
        names_.push_back(lower(name));
        add(name);
    }
}

bool OwnNames::host_is_ours(std::string_view host) const {
    return std::find(names_.begin(), names_.end(), lower(host)) != names_.end();
}

bool OwnNames::origin_is_ours(std::string_view origin) const {
    for (const std::string_view scheme : {"http://", "https://"})
        if (origin.substr(0, scheme.size()) == scheme)
            return host_is_ours(origin.substr(scheme.size()));
    return false;
}

bool FailureLimit::blocked(const std::string &address, Time now) {
    const auto found = failures_.find(address);
    if (found == failures_.end())
        return false;
    if (now - found->second.since > kWindow) {
        failures_.erase(found);
        return false;
    }
    return found->second.count >= kMostFailures;
}

void FailureLimit::failed(const std::string &address, Time now) {
    if (failures_.size() >= kMostAddresses && !failures_.contains(address))
        std::erase_if(failures_,
                      [&](const auto &each) { return now - each.second.since > kWindow / 2; });
    if (failures_.size() >= kMostAddresses)
        failures_.erase(failures_.begin());
    Failures &failures = failures_[address];
    if (failures.count++ == 0)
        failures.since = now;
}

} // namespace sphere::console
