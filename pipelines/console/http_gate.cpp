// SPDX-License-Identifier: MIT
#include "pipelines/console/http_gate.h"

#include <glib.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace sphere::console {
namespace {

bool changes_something(const std::string &method) {
    return method != "GET" && method != "HEAD";
}

Response too_many() {
    Response response =
        error_response(429, "too many wrong tokens came from this address: wait a minute");
    response.headers.emplace_back("Retry-After", "60");
    return response;
}

Response unauthorized(bool wrong_token) {
    Response response = error_response(
        401, "sign in with the address that sphere-camera printed, or send the token as "
             "\"Authorization: Bearer TOKEN\"");
    response.wrong_token = wrong_token;
    return response;
}

} // namespace

Response error_response(unsigned status, const std::string &message) {
    Response response;
    response.status = status;
    response.body = nlohmann::json({{"error", message}})
                        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return response;
}

std::string cookie_value(const std::string &header, const std::string &name) {
    std::size_t begin = 0;
    while (begin < header.size()) {
        std::size_t end = header.find(';', begin);
        end = end == std::string::npos ? header.size() : end;
        while (begin < end && header[begin] == ' ')
            ++begin;
        if (header.compare(begin, name.size(), name) == 0 && begin + name.size() < end &&
            header[begin + name.size()] == '=')
            return header.substr(begin + name.size() + 1, end - begin - name.size() - 1);
        begin = end + 1;
    }
    return {};
}

HttpGate::HttpGate(std::string token, OwnNames names, std::vector<Route> routes,
                   std::size_t most_body_bytes)
    : sessions_(std::move(token)), names_(std::move(names)), routes_(std::move(routes)),
      most_body_bytes_(most_body_bytes) {}

const Route *HttpGate::route(const std::string &method, const std::string &path) const {
    const std::string wanted = method == "HEAD" ? "GET" : method;
    for (const Route &route : routes_)
        if (route.method == wanted && !(method == "HEAD" && route.stream) &&
            (route.path == path || (route.prefix && path.size() > route.path.size() &&
                                    path.compare(0, route.path.size(), route.path) == 0)))
            return &route;
    return nullptr;
}

std::string HttpGate::bad_method(const std::string &path) const {
    for (const char *method : {"GET", "POST"})
        if (route(method, path) != nullptr)
            return method;
    return {};
}

std::optional<Response> HttpGate::refuse(const RequestHead &head, FailureLimit::Time now,
                                         std::int64_t now_s) {
    if (!names_.host_is_ours(head.header("Host")))
        return error_response(403,
                              "this name is not the console's: use http://127.0.0.1:PORT/, "
                              "or add the name to \"allowed_hosts\"");
    const Route *found = route(head.method, head.path);
    if (found == nullptr) {
        const std::string allowed = bad_method(head.path);
        if (allowed.empty())
            return error_response(404, "there is nothing here");
        Response response = error_response(405, "this address answers to " + allowed);
        response.headers.emplace_back("Allow", allowed == "GET" ? "GET, HEAD" : allowed);
        return response;
    }
    if (auto refused = refuse_page(head, *found))
        return refused;
    if (auto refused = refuse_user(head, *found, now, now_s))
        return refused;
    return changes_something(head.method) ? refuse_body(head) : std::nullopt;
}

std::optional<Response> HttpGate::refuse_page(const RequestHead &head,
                                              const Route &route) const {
    const bool changes = changes_something(head.method);
    if (route.open && !changes)
        return std::nullopt; // a link to the page may be anywhere
    const Response refused = error_response(403, "pages of others may not use the console");
    const std::string origin = head.header("Origin");
    if (!origin.empty() && !names_.origin_is_ours(origin))
        return refused;
    const std::string site = head.header("Sec-Fetch-Site");
    if (!site.empty() && site != "same-origin" && site != "none")
        return refused;
    // A browser says whence a POST comes; who does not say has no use for the cookie.
    if (changes && !route.open && origin.empty() && site.empty() &&
        head.header("Authorization").empty())
        return error_response(403, "say whence you come (Origin), or send the token as "
                                   "\"Authorization: Bearer TOKEN\"");
    return std::nullopt;
}

std::optional<Response> HttpGate::refuse_user(const RequestHead &head, const Route &route,
                                              FailureLimit::Time now, std::int64_t now_s) {
    if (route.open) {
        if (changes_something(head.method) && failures_.blocked(head.remote, now))
            return too_many();
        return std::nullopt;
    }
    const std::string authorization = head.header("Authorization");
    if (!authorization.empty()) {
        if (failures_.blocked(head.remote, now))
            return too_many();
        constexpr std::string_view kScheme = "bearer ";
        if (authorization.size() > kScheme.size() &&
            g_ascii_strncasecmp(authorization.c_str(), kScheme.data(), kScheme.size()) == 0 &&
            sessions_.is_token(std::string_view(authorization).substr(kScheme.size())))
            return std::nullopt;
        return unauthorized(true);
    }
    // Sessions are not counted: one that has run out is no attempt at anything.
    if (sessions_.valid(cookie_value(head.header("Cookie"), cookie_name_), now_s))
        return std::nullopt;
    return unauthorized(false);
}

std::optional<Response> HttpGate::refuse_body(const RequestHead &head) const {
    const std::string length = head.header("Content-Length");
    if (length.empty() || !head.header("Transfer-Encoding").empty())
        return error_response(411, "say how long the body is (Content-Length)");
    const bool number =
        length.size() < 19 && std::all_of(length.begin(), length.end(),
                                          [](char c) { return g_ascii_isdigit(c) != FALSE; });
    if (!number || g_ascii_strtoull(length.c_str(), nullptr, 10) > most_body_bytes_)
        return error_response(413, "the body is longer than " +
                                       std::to_string(most_body_bytes_) + " bytes");
    const std::string type = head.header("Content-Type");
    if (g_ascii_strcasecmp(type.substr(0, type.find(';')).c_str(), "application/json") != 0)
        return error_response(415, "the body must be application/json");
    return std::nullopt;
}

} // namespace sphere::console
