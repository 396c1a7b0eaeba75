// SPDX-License-Identifier: MIT
// A PostgreSQL server of the test's own, on a loopback port, as a user who may run one.
#pragma once

#include "tests/support/gallery_testing.h"

#include <csignal>
#include <filesystem>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace sphere::testing {

/// One a process, started at first use, stopped at its end. Each gallery is a database of its
/// own.
class PostgresServer {
  public:
    static PostgresServer &get() {
        static PostgresServer server;
        return server;
    }
    /// Why there is none, or empty.
    const std::string &unavailable() const { return unavailable_; }

    std::string new_database() {
        const std::string name = "gallery" + std::to_string(++databases_);
        run("createdb -h 127.0.0.1 -p " + port_ + " -U sphere " + name);
        return uri(name);
    }
    /// Its time to connect is one for machines that are busy with other things as well.
    std::string uri(const std::string &database) const {
        return "postgresql://sphere:" + std::string(kPassword) + "@127.0.0.1:" + port_ + "/" +
               database + "?connect_timeout=60";
    }
    static constexpr const char *kPassword = "a-secret-word";

    bool start() {
        return run(bin_ + "/pg_ctl -w -t 120 -D " + data() + " -l " + data() + "/log -o '-p " +
                   port_ + " -k " + dir_->path() +
                   " -c listen_addresses=127.0.0.1 -c fsync=off' start") == 0;
    }
    void stop() { run(bin_ + "/pg_ctl -m immediate -D " + data() + " stop"); }

  private:
    PostgresServer() {
        for (int version = 18; version >= 13; --version) {
            const std::string bin = "/usr/lib/postgresql/" + std::to_string(version) + "/bin";
            if (bin_.empty() && std::filesystem::exists(bin + "/initdb"))
                bin_ = bin;
        }
        if (bin_.empty()) {
            unavailable_ = "no PostgreSQL server is installed (Debian: postgresql)";
            return;
        }
        dir_ = std::make_unique<TempDir>();
        port_ = std::to_string(20000 + getpid() % 20000);
        // The server refuses to run as root.
        if (geteuid() == 0 && chown(dir_->path().c_str(), kUser, kUser) != 0) {
            unavailable_ = "the server's folder cannot be given to another user";
            return;
        }
        write_bytes(*dir_ / "password", kPassword);
        std::filesystem::permissions(*dir_ / "password", std::filesystem::perms(0644));
        if (run(bin_ + "/initdb -A scram-sha-256 -U sphere --pwfile=" + (*dir_ / "password") +
                " -E UTF8 --locale=C -D " + data()) != 0 ||
            !start())
            unavailable_ = "a PostgreSQL server could not be started";
    }
    ~PostgresServer() {
        if (unavailable_.empty())
            stop();
    }
    std::string data() const { return *dir_ / "data"; }

    /// As the server's user, without output.
    int run(const std::string &command) const {
        return in_child([&] {
            if (geteuid() == 0 && (setgid(kUser) != 0 || setuid(kUser) != 0))
                return 99;
            setenv("PGPASSWORD", kPassword, 1);
            setenv("HOME", "/", 1);
            const std::string quiet = command + " >/dev/null 2>&1";
            execl("/bin/sh", "sh", "-c", quiet.c_str(), nullptr);
            return 98;
        });
    }

    static constexpr unsigned kUser = 65534; // nobody
    std::unique_ptr<TempDir> dir_;
    std::string bin_;
    std::string port_;
    std::string unavailable_;
    int databases_ = 0;
};

} // namespace sphere::testing
