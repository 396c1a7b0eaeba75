// SPDX-License-Identifier: MIT
// The servers that records are published to, on loopback: started, stopped and read by tests.
#pragma once

#include "tests/support/gallery_testing.h"
#include "tests/support/sanitizers.h"

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <set>
#include <sstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>

namespace sphere::testing {

/// A program that runs until it is stopped.
class ChildProcess {
  public:
    ~ChildProcess() { stop(); }
    /// Its standard input is a pipe; its output goes to `log`, or to a pipe where that is
    /// empty.
    void start(const std::vector<std::string> &command, const std::string &log = "") {
        int in[2] = {-1, -1};
        int out[2] = {-1, -1};
        if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
            std::abort();
        std::vector<char *> arguments;
        for (const std::string &word : command)
            arguments.push_back(const_cast<char *>(word.c_str()));
        arguments.push_back(nullptr);
        pid_ = fork();
        if (pid_ == 0) {
            dup2(in[0], STDIN_FILENO);
            const int file =
                log.empty() ? out[1] : open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            dup2(file, STDOUT_FILENO);
            dup2(log.empty() ? open("/dev/null", O_WRONLY | O_CLOEXEC) : file, STDERR_FILENO);
            execvp(arguments[0], arguments.data());
            _exit(127);
        }
        close(in[0]);
        close(out[1]);
        input_ = in[1];
        output_ = out[0];
    }
    void stop(int signal = SIGTERM) {
        if (pid_ <= 0)
            return;
        kill(pid_, signal);
        int status = 0;
        waitpid(pid_, &status, 0);
        close(input_);
        close(output_);
        pid_ = -1;
    }
    void say(const std::string &line) const {
        if (write(input_, line.data(), line.size()) < 0)
            std::abort();
    }
    std::string read_line() const {
        std::string line;
        for (char c = 0; read(output_, &c, 1) == 1 && c != '\n';)
            line += c;
        return line;
    }
    bool running() const { return pid_ > 0; }

  private:
    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
};

inline sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

inline int free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (bind(fd, reinterpret_cast<sockaddr *>(&address), size) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) != 0)
        std::abort();
    close(fd);
    return ntohs(address.sin_port);
}

/// Until somebody listens there; false after a long while.
inline bool wait_for_port(int port) {
    for (int i = 0; i < 1000; ++i) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(port);
        const bool there =
            connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
        close(fd);
        if (there)
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
}

inline std::string program(const std::string &name) {
    for (const char *folder :
         {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"})
        if (access((folder + name).c_str(), X_OK) == 0)
            return folder + name;
    return {};
}

inline std::string test_environment(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr ? value : ".";
}

inline std::vector<std::string> lines_of_file(const std::string &path) {
    std::istringstream stream(read_bytes(path));
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);)
        if (!stream.eof()) // a whole one
            lines.push_back(line);
    return lines;
}

class PublishServer {
  public:
    virtual ~PublishServer() = default;
    /// Why there is no such server here; empty: there is one.
    virtual std::string unavailable() const { return {}; }
    virtual void start() = 0;
    virtual void stop() = 0;
    virtual std::string location() const = 0;
    /// What arrived, whole lines of JSON.
    virtual std::vector<std::string> lines() const = 0;
    TempDir dir_;
};

class FileServer final : public PublishServer {
  public:
    void start() override {}
    void stop() override {}
    std::string location() const override { return dir_ / "out.jsonl"; }
    std::vector<std::string> lines() const override {
        return lines_of_file(dir_ / "out.jsonl");
    }
};

/// Reads all that any number of connections bring.
class UnixServer final : public PublishServer {
  public:
    ~UnixServer() override { stop(); }
    void start() override {
        unlink(path().c_str());
        fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        if (bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
            listen(fd_, 8) != 0)
            std::abort();
        stopping_ = false;
        thread_ = std::thread([this] { serve(); });
    }
    void stop() override {
        if (fd_ < 0)
            return;
        stopping_ = true;
        thread_.join();
        close(fd_);
        unlink(path().c_str());
        fd_ = -1;
    }
    std::string location() const override { return "unix:" + path(); }
    std::vector<std::string> lines() const override {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

  private:
    std::string path() const { return dir_ / "s"; }
    void serve() {
        int client = -1;
        std::string text;
        while (true) {
            pollfd waiting[2] = {{fd_, POLLIN, 0}, {client, POLLIN, 0}};
            const int ready = poll(waiting, 2, 20);
            if (ready <= 0 && stopping_)
                break; // what was sent was read
            if (client < 0 && (waiting[0].revents & POLLIN) != 0)
                client = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client >= 0 && waiting[1].revents != 0)
                client = receive(client, text);
        }
        if (client >= 0)
            close(client);
    }
    int receive(int client, std::string &text) {
        char buffer[65536];
        const ssize_t size = read(client, buffer, sizeof buffer);
        if (size <= 0) {
            close(client);
            text.clear();
            return -1;
        }
        text.append(buffer, static_cast<std::size_t>(size));
        const std::lock_guard lock(mutex_);
        for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;
             text.erase(0, end + 1))
            lines_.push_back(text.substr(0, end));
        return client;
    }
    int fd_ = -1;
    std::thread thread_;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

/// Debian's mosquitto with a persistent subscriber, mosquitto_sub.
class MqttServer final : public PublishServer {
  public:
    std::string unavailable() const override {
        return program("mosquitto").empty() || program("mosquitto_sub").empty()
                   ? "no mosquitto and mosquitto_sub here"
                   : "";
    }
    void start() override {
        std::ostringstream config;
        config << "listener " << port_ << " 127.0.0.1\nallow_anonymous true\npersistence true\n"
               << "persistence_location " << dir_.path() << "/\nmax_queued_messages 0\n"
               << "user " << (geteuid() == 0 ? "root" : "nobody") << "\n";
        write_bytes(dir_ / "mosquitto.conf", config.str());
        broker_.start({program("mosquitto"), "-c", dir_ / "mosquitto.conf"},
                      dir_ / "broker.log");
        ASSERT_TRUE(wait_for_port(port_)) << read_bytes(dir_ / "broker.log");
        if (!subscriber_.running()) {
            subscriber_.start({program("mosquitto_sub"), "-p", std::to_string(port_), "-c",
                               "-i", "reader", "-q", "2", "-t", "cameras/door"},
                              dir_ / "lines");
            wait_for_subscription();
        }
    }
    void stop() override { broker_.stop(); }
    std::string location() const override {
        return "mqtt://127.0.0.1:" + std::to_string(port_) + "/cameras/door";
    }
    /// QoS 1, to the broker and from it: what was on its way when the broker stopped may come
    /// twice. The same line has the same sequence, so it is the same record.
    std::vector<std::string> lines() const override {
        std::vector<std::string> once;
        std::set<std::string> seen;
        for (std::string &line : lines_of_file(dir_ / "lines"))
            if (seen.insert(line).second)
                once.push_back(std::move(line));
        return once;
    }
    ~MqttServer() override { subscriber_.stop(); }

  private:
    /// What is published before the subscription is nobody's.
    void wait_for_subscription() const {
        for (int i = 0; i < 500; ++i) {
            if (read_bytes(dir_ / "broker.log").find("as reader") != std::string::npos)
                break;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    int port_ = free_port();
    ChildProcess broker_;
    ChildProcess subscriber_;
};

class KafkaServer final : public PublishServer {
  public:
    std::string unavailable() const override {
#if SPHERE_TSAN
        // Nor can the destination: librdkafka's own threads crash in ThreadSanitizer's memory
        // of them.
        return "librdkafka makes its threads by thrd_create, which ThreadSanitizer does not "
               "know";
#else
        return access(mock().c_str(), X_OK) != 0 ? "built without Kafka" : "";
#endif
    }
    void start() override {
        if (cluster_.running()) {
            cluster_.say("up\n");
            return;
        }
        cluster_.start({mock(), "faces", dir_ / "lines"});
        brokers_ = cluster_.read_line();
    }
    void stop() override {
        if (!cluster_.running())
            start();
        cluster_.say("down\n");
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    std::string location() const override {
        return "kafka://" + brokers_ + "/faces";
    }
    /// "KEY JSON" without the key, which must be the stream's.
    std::vector<std::string> lines() const override {
        std::vector<std::string> values;
        for (const std::string &line : lines_of_file(dir_ / "lines")) {
            EXPECT_EQ(line.substr(0, 4), "cam ");
            values.push_back(line.substr(4));
        }
        return values;
    }

  private:
    static std::string mock() {
        return test_environment("SPHERE_BUILD_ROOT") + "/tests/conformance/kafka_mock";
    }
    ChildProcess cluster_;
    std::string brokers_;
};

class WebhookServer final : public PublishServer {
  public:
    explicit WebhookServer(std::string token = "", std::string path = "/hook")
        : token_(std::move(token)), path_(std::move(path)) {}
    void start() override {
        std::vector<std::string> command = {"/usr/bin/python3",
                                            test_environment("SPHERE_SOURCE_ROOT") +
                                                "/tests/support/webhook_server.py",
                                            std::to_string(port_), dir_ / "lines"};
        if (!token_.empty())
            command.push_back(token_);
        server_.start(command, dir_ / "server.log");
        ASSERT_TRUE(wait_for_port(port_)) << read_bytes(dir_ / "server.log");
    }
    void stop() override { server_.stop(); }
    std::string location() const override {
        return "http://127.0.0.1:" + std::to_string(port_) + path_;
    }
    std::vector<std::string> lines() const override { return lines_of_file(dir_ / "lines"); }

  private:
    std::string token_;
    std::string path_;
    int port_ = free_port();
    ChildProcess server_;
};

} // namespace sphere::testing
