// SPDX-License-Identifier: MIT
#include "core/publish/tls_files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sys/stat.h>

namespace sphere {
namespace {

constexpr std::size_t kMaxPemBytes = 16 << 20; ///< a system's bundle has some 200 kB

Result<void> check_file(const char *property, const std::string &path, const char *kind) {
    if (path.empty())
        return {};
    struct stat info {};
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (stat(path.c_str(), &info) != 0 || !file.is_open())
        return fail(errno == EACCES ? Errc::Permission : Errc::NotFound, property, " ", path,
                    ": ", std::strerror(errno), ": name a PEM file that can be read");
    if (S_ISDIR(info.st_mode))
        return fail(Errc::InvalidArgument, property, " ", path,
                    ": is a directory: name a PEM file");
    const std::string end = std::string(kind) + "-----";
    std::size_t bytes = 0;
    for (std::string line; bytes < kMaxPemBytes && std::getline(file, line);) {
        bytes += line.size() + 1;
        if (line.starts_with("-----BEGIN ") && line.find(end) != std::string::npos)
            return {};
    }
    return fail(Errc::Corrupt, property, " ", path, ": has no '-----BEGIN ", kind,
                "-----': name a PEM file");
}

} // namespace

Result<void> check_tls_files(const PublishLocation &location, const PublishOptions &options) {
    const std::pair<const char *, const std::string *> files[] = {
        {"ca-file", &options.ca_file},
        {"cert-file", &options.cert_file},
        {"key-file", &options.key_file}};
    for (const auto &[property, path] : files)
        if (!path->empty() && !location.tls) {
            const std::string scheme = location.scheme == PublishScheme::Mqtt    ? "mqtt"
                                       : location.scheme == PublishScheme::Kafka ? "kafka"
                                                                                 : "http";
            return fail(Errc::InvalidArgument, "publish to ", location.shown, ": ", property,
                        " is for ", scheme, "s://, and this is ", scheme, "://");
        }
    SPHERE_TRY(check_file("ca-file", options.ca_file, "CERTIFICATE"));
    SPHERE_TRY(check_file("cert-file", options.cert_file, "CERTIFICATE"));
    SPHERE_TRY(check_file("key-file", options.key_file, "PRIVATE KEY"));
    if (options.cert_file.empty() && !options.key_file.empty())
        return fail(Errc::InvalidArgument,
                    "key-file needs cert-file: the certificate of that key, "
                    "PEM");
    return {};
}

} // namespace sphere
