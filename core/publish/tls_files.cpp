// SPDX-License-Identifier: MIT
#include "core/publish/tls_files.h"

#include "core/base/private_file.h"

#include <string_view>

namespace sphere {
namespace {

constexpr std::size_t kMaxPemBytes = 4 << 20; ///< a system's bundle has some 200 kB

Result<void> check_file(const char *property, const std::string &path, std::string_view kind) {
    if (path.empty())
        return {};
    const auto file = read_small_file(path, kMaxPemBytes);
    if (!file)
        return fail(file.error().code, property, " ", file.error().message,
                    ": name a PEM file that can be read");
    const std::string end = std::string(kind) + "-----";
    constexpr std::string_view kBegin = "-----BEGIN ";
    for (std::size_t at = 0; (at = file->text.find(kBegin, at)) != std::string::npos; ++at) {
        const std::string_view line =
            std::string_view(file->text).substr(at, file->text.find('\n', at) - at);
        if ((at == 0 || file->text[at - 1] == '\n') && line.find(end) != line.npos)
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
