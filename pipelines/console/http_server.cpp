// SPDX-License-Identifier: MIT
#include "pipelines/console/http_server.h"

#include "core/base/log.h"
#include "pipelines/console/http_gate.h"
#include "pipelines/console/worker_pool.h"

#include <libsoup/soup.h>

#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

namespace sphere::console {
namespace {

constexpr std::size_t kWorkers = 4;
constexpr guint kTick_ms = 40;
constexpr goffset kMostDrained = 1 << 20;

// What a browser may do with anything that comes from here: show it, with our own files.
constexpr std::pair<const char *, const char *> kHeaders[] = {
    {"Content-Security-Policy",
     "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
     "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
    // libsoup ends connections that it did not accept itself after one answer.
    {"Connection", "close"},
};

std::string one_header(SoupServerMessage *message, const char *name) {
    const char *value =
        soup_message_headers_get_one(soup_server_message_get_request_headers(message), name);
    return value != nullptr ? value : "";
}

std::string address_of(GSocketAddress *remote) {
    if (!G_IS_INET_SOCKET_ADDRESS(remote))
        return "unknown";
    gchar *text = g_inet_address_to_string(
        g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(remote)));
    std::string address = text;
    g_free(text);
    return address;
}

/// For a line of the log: nothing in it breaks the line.
std::string printable(std::string text) {
    for (char &c : text)
        if (!g_ascii_isprint(c))
            c = '?';
    return text.substr(0, 200);
}

std::string raw_response(const Response &response) {
    std::string text = "HTTP/1.1 " + std::to_string(response.status) + " Refused\r\n";
    for (const auto &[name, value] : kHeaders)
        text += std::string(name) + ": " + value + "\r\n";
    return text + "Content-Type: " + response.type +
           "\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n\r\n" +
           response.body;
}

void set_response(SoupServerMessage *message, const Response &response) {
    soup_server_message_set_status(message, response.status, nullptr);
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    for (const auto &[name, value] : kHeaders)
        soup_message_headers_replace(headers, name, value);
    for (const auto &[name, value] : response.headers)
        soup_message_headers_replace(headers, name.c_str(), value.c_str());
    soup_server_message_set_response(message, response.type.c_str(), SOUP_MEMORY_COPY,
                                     response.body.data(), response.body.size());
}

} // namespace

class HttpServer::Impl {
  public:
    Impl(HttpOptions options, std::vector<Route> routes)
        : options_(std::move(options)), connections_(options_.connections),
          gate_(options_.token, OwnNames(options_.address, 0, {}), std::move(routes),
                options_.most_body_bytes),
          context_(g_main_context_new()), loop_(g_main_loop_new(context_, FALSE)) {}
    ~Impl();
    Impl(const Impl &) = delete;
    Impl &operator=(const Impl &) = delete;

    Result<void> start();
    unsigned port() const { return port_; }
    HttpCounts counts() const {
        const std::lock_guard lock(mutex_);
        return counts_;
    }
    std::string cookie_name() const { return "sphere_console_" + std::to_string(port_); }

  private:
    using Clock = std::chrono::steady_clock;
    /// A request that is being answered. The server's thread.
    struct Exchange {
        std::unique_ptr<StreamBody> stream;
        bool in_flight = false; ///< a piece of the stream is on its way
        Clock::time_point since;
    };

    void run(std::promise<Result<void>> started);
    Result<void> set_up();
    void tear_down();
    static void early(SoupServer *, SoupServerMessage *message, const char *path, GHashTable *,
                      gpointer self);
    static void handle(SoupServer *, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer self);
    static void read(SoupServer *, SoupServerMessage *message, gpointer self);
    static void finished(SoupServer *, SoupServerMessage *message, gpointer self);
    static void wrote_chunk(SoupServerMessage *message, gpointer self);
    static gboolean tick(gpointer self);
    static gboolean quit(gpointer self);
    static gboolean deliver(gpointer self);

    void answer(SoupServerMessage *message, const Response &response);
    void begin_stream(SoupServerMessage *message, std::unique_ptr<StreamBody> stream);
    void hand_to_worker(SoupServerMessage *message, const Route &route, Request request);
    void feed(SoupServerMessage *message, Exchange &exchange, Clock::time_point now);
    void in_loop(GSourceFunc function);

    HttpOptions options_;
    HttpConnections connections_; ///< the server's thread's, with what follows
    HttpGate gate_;
    SoupServer *server_ = nullptr;
    std::map<SoupServerMessage *, Exchange> exchanges_; ///< holds a reference to each key

    GMainContext *context_;
    GMainLoop *loop_;
    unsigned port_ = 0; ///< set before start() returns

    mutable std::mutex mutex_; ///< guards counts_ and done_
    HttpCounts counts_;
    std::deque<std::pair<SoupServerMessage *, Response>> done_;
    std::unique_ptr<WorkerPool> workers_;
    std::thread thread_;
};

Result<void> HttpServer::Impl::start() {
    std::promise<Result<void>> started;
    auto result = started.get_future();
    workers_ = std::make_unique<WorkerPool>(kWorkers);
    thread_ = std::thread(
        [this, started = std::move(started)]() mutable { run(std::move(started)); });
    return result.get();
}

HttpServer::Impl::~Impl() {
    workers_.reset(); // none calls in_loop() after this
    if (thread_.joinable()) {
        in_loop(quit);
        thread_.join();
    }
    g_main_loop_unref(loop_);
    g_main_context_unref(context_);
}

void HttpServer::Impl::in_loop(GSourceFunc function) {
    GSource *source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, function, this, nullptr);
    g_source_attach(source, context_);
    g_source_unref(source);
}

gboolean HttpServer::Impl::quit(gpointer data) {
    g_main_loop_quit(static_cast<Impl *>(data)->loop_);
    return G_SOURCE_REMOVE;
}

void HttpServer::Impl::run(std::promise<Result<void>> started) {
    g_main_context_push_thread_default(context_);
    Result<void> result = set_up();
    const bool listening = result.ok();
    started.set_value(std::move(result));
    if (listening)
        g_main_loop_run(loop_);
    tear_down();
    g_main_context_pop_thread_default(context_);
}

Result<void> HttpServer::Impl::set_up() {
    server_ = soup_server_new(nullptr, nullptr);
    soup_server_add_early_handler(server_, "/", early, this, nullptr);
    soup_server_add_handler(server_, "/", handle, this, nullptr);
    g_signal_connect(server_, "request-read", G_CALLBACK(read), this);
    g_signal_connect(server_, "request-finished", G_CALLBACK(finished), this);
    g_signal_connect(server_, "request-aborted", G_CALLBACK(finished), this);
    SPHERE_TRY(connections_.start(
        options_.address, options_.port,
        [this](GSocketConnection *connection, GSocketAddress *remote) {
            GSocketAddress *local = g_socket_connection_get_local_address(connection, nullptr);
            soup_server_accept_iostream(server_, G_IO_STREAM(connection), local, remote,
                                        nullptr);
            g_clear_object(&local);
        }));
    port_ = connections_.port();
    gate_.set_names(OwnNames(options_.address, port_, options_.allowed_hosts));
    gate_.set_cookie_name(cookie_name());
    GSource *timer = g_timeout_source_new(kTick_ms);
    g_source_set_callback(timer, tick, this, nullptr);
    g_source_attach(timer, context_);
    g_source_unref(timer);
    return {};
}

void HttpServer::Impl::tear_down() {
    connections_.stop();
    if (server_ != nullptr) {
        g_signal_handlers_disconnect_by_data(server_, this);
        soup_server_disconnect(server_);
    }
    for (auto &[message, exchange] : exchanges_) {
        g_signal_handlers_disconnect_by_data(message, this);
        g_object_unref(message);
    }
    exchanges_.clear();
    // What libsoup still has to do with connections that were shut.
    while (g_main_context_iteration(context_, FALSE) != FALSE) {
    }
    g_clear_object(&server_);
    for (auto &[message, response] : done_)
        g_object_unref(message);
    done_.clear();
}

void HttpServer::Impl::early(SoupServer * /*server*/, SoupServerMessage *message,
                             const char *path, GHashTable * /*query*/, gpointer data) {
    auto &self = *static_cast<Impl *>(data);
    const char *method = soup_server_message_get_method(message);
    RequestHead head{method != nullptr ? method : "", path != nullptr ? path : "",
                     address_of(soup_server_message_get_remote_address(message)),
                     [message](const char *name) { return one_header(message, name); }};
    const auto refused =
        self.gate_.refuse(head, Clock::now(), g_get_real_time() / G_USEC_PER_SEC);
    if (!refused)
        return;
    self.answer(message, *refused);
    // A small body is read and thrown away, so that the client hears the answer when it has
    // sent it. Of a large one nothing is read.
    soup_message_body_set_accumulate(soup_server_message_get_request_body(message), FALSE);
    if (soup_message_headers_get_content_length(
            soup_server_message_get_request_headers(message)) > kMostDrained)
        self.connections_.refuse(soup_server_message_get_remote_address(message),
                                 raw_response(*refused));
}

void HttpServer::Impl::answer(SoupServerMessage *message, const Response &response) {
    const char *path = g_uri_get_path(soup_server_message_get_uri(message));
    const std::string remote = address_of(soup_server_message_get_remote_address(message));
    if (response.wrong_token)
        gate_.count_failure(remote, Clock::now());
    set_response(message, response);
    {
        const std::lock_guard lock(mutex_);
        // Statuses are few and ours.
        ++counts_.responses[response.status];
    }
    const char *method = soup_server_message_get_method(message);
    log(response.status == 401 || response.status == 403 || response.status == 429
            ? LogLevel::Info
            : LogLevel::Debug,
        "console: " + remote + " " + printable(method != nullptr ? method : "") + " " +
            printable(path != nullptr ? path : "") + " " + std::to_string(response.status));
}

void HttpServer::Impl::handle(SoupServer * /*server*/, SoupServerMessage *message,
                              const char *path, GHashTable *query, gpointer data) {
    auto &self = *static_cast<Impl *>(data);
    const char *method = soup_server_message_get_method(message);
    const Route *route = self.gate_.route(method, path);
    if (route == nullptr) // the gate has seen to it
        return self.answer(message, error_response(404, "there is nothing here"));
    Request request;
    request.method = method;
    request.path = path;
    request.cookie = self.cookie_name();
    request.rest = request.path.substr(route->path.size());
    request.remote = address_of(soup_server_message_get_remote_address(message));
    if (query != nullptr) {
        GHashTableIter each;
        gpointer key = nullptr;
        gpointer value = nullptr;
        g_hash_table_iter_init(&each, query);
        while (g_hash_table_iter_next(&each, &key, &value) != FALSE)
            request.query[static_cast<const char *>(key)] =
                value != nullptr ? static_cast<const char *>(value) : "";
    }
    const SoupMessageBody *body = soup_server_message_get_request_body(message);
    if (body != nullptr && body->data != nullptr)
        request.body.assign(body->data, static_cast<std::size_t>(body->length));
    if (route->stream)
        self.begin_stream(message, route->stream(request));
    else
        self.hand_to_worker(message, *route, std::move(request));
}

void HttpServer::Impl::begin_stream(SoupServerMessage *message,
                                    std::unique_ptr<StreamBody> stream) {
    if (!stream)
        return answer(message, error_response(404, "there is no such camera"));
    std::size_t streams = 0;
    for (const auto &[other, exchange] : exchanges_)
        streams += exchange.stream ? 1 : 0;
    if (streams >= options_.most_streams)
        return answer(message, error_response(503, "too many pages are open: close some"));
    Response response;
    response.type = stream->type();
    answer(message, response);
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_set_encoding(headers, SOUP_ENCODING_CHUNKED);
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    connections_.response_is_endless(soup_server_message_get_remote_address(message));
    g_signal_connect(message, "wrote-chunk", G_CALLBACK(wrote_chunk), this);
    Exchange &exchange = exchanges_[SOUP_SERVER_MESSAGE(g_object_ref(message))];
    exchange.stream = std::move(stream);
    soup_server_message_pause(message);
    feed(message, exchange, Clock::now());
}

void HttpServer::Impl::feed(SoupServerMessage *message, Exchange &exchange,
                            Clock::time_point now) {
    if (exchange.in_flight) {
        if (now - exchange.since > options_.stall)
            connections_.shut(soup_server_message_get_remote_address(message));
        return;
    }
    const auto piece = exchange.stream->next(now);
    if (!piece)
        return;
    soup_message_body_append(soup_server_message_get_response_body(message), SOUP_MEMORY_COPY,
                             piece->data(), piece->size());
    exchange.in_flight = true;
    exchange.since = now;
    soup_server_message_unpause(message);
}

void HttpServer::Impl::wrote_chunk(SoupServerMessage *message, gpointer data) {
    auto &self = *static_cast<Impl *>(data);
    const auto found = self.exchanges_.find(message);
    if (found != self.exchanges_.end())
        found->second.in_flight = false;
}

void HttpServer::Impl::hand_to_worker(SoupServerMessage *message, const Route &route,
                                      Request request) {
    // `route` is the gate's, and outlives the workers.
    const bool taken = workers_->post([this, message, &route, request = std::move(request)] {
        Response response = route.handler(request);
        {
            const std::lock_guard lock(mutex_);
            done_.emplace_back(message, std::move(response));
        }
        in_loop(deliver);
    });
    if (!taken)
        return answer(message, error_response(503, "too many requests wait: try again"));
    g_object_ref(message); // the worker's
    exchanges_[SOUP_SERVER_MESSAGE(g_object_ref(message))] = {};
    soup_server_message_pause(message);
}

gboolean HttpServer::Impl::deliver(gpointer data) {
    auto &self = *static_cast<Impl *>(data);
    std::deque<std::pair<SoupServerMessage *, Response>> done;
    {
        const std::lock_guard lock(self.mutex_);
        done.swap(self.done_);
    }
    for (auto &[message, response] : done) {
        if (self.exchanges_.contains(message)) { // else the client has gone
            self.answer(message, response);
            soup_server_message_unpause(message);
        }
        g_object_unref(message);
    }
    return G_SOURCE_REMOVE;
}

void HttpServer::Impl::read(SoupServer * /*server*/, SoupServerMessage *message,
                            gpointer data) {
    static_cast<Impl *>(data)->connections_.request_read(
        soup_server_message_get_remote_address(message));
}

void HttpServer::Impl::finished(SoupServer * /*server*/, SoupServerMessage *message,
                                gpointer data) {
    auto &self = *static_cast<Impl *>(data);
    self.connections_.response_done(soup_server_message_get_remote_address(message));
    const auto found = self.exchanges_.find(message);
    if (found == self.exchanges_.end())
        return;
    g_signal_handlers_disconnect_by_data(message, &self);
    self.exchanges_.erase(found);
    g_object_unref(message);
}

gboolean HttpServer::Impl::tick(gpointer data) {
    auto &self = *static_cast<Impl *>(data);
    const auto now = Clock::now();
    std::uint64_t streams = 0;
    // A stream that ends while it is fed leaves the map.
    std::vector<SoupServerMessage *> messages;
    for (const auto &[message, exchange] : self.exchanges_)
        if (exchange.stream)
            messages.push_back(message);
    for (SoupServerMessage *message : messages) {
        const auto found = self.exchanges_.find(message);
        if (found == self.exchanges_.end())
            continue;
        ++streams;
        self.feed(message, found->second, now);
    }
    self.connections_.shut_overdue(now);
    const std::lock_guard lock(self.mutex_);
    self.counts_.streams = streams;
    self.counts_.connections = self.connections_.count();
    return G_SOURCE_CONTINUE;
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpOptions options,
                                                      std::vector<Route> routes) {
    auto impl = std::make_unique<Impl>(std::move(options), std::move(routes));
    SPHERE_TRY(impl->start());
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

unsigned HttpServer::port() const {
    return impl_->port();
}
HttpCounts HttpServer::counts() const {
    return impl_->counts();
}
std::string HttpServer::cookie_name() const {
    return impl_->cookie_name();
}

} // namespace sphere::console
