// SPDX-License-Identifier: MIT
// A PostgreSQL with pgvector of the test's own: PGlite, from npm's packages.
#pragma once

#include "tests/support/gallery_testing.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <libpq-fe.h>
#include <string>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace sphere::testing {

/// One a process, started at first use, stopped at its end. The packages are installed once a
/// build directory. It has one database and one session; a new gallery is a new schema.
class PgliteServer {
  public:
    static PgliteServer &get() {
        static PgliteServer server;
        return server;
    }
    /// Why there is none, or empty.
    const std::string &unavailable() const { return unavailable_; }

    std::string location() const {
        return "postgresql://postgres:postgres@127.0.0.1:" + port_ +
               "/postgres?connect_timeout=60";
    }
    /// A place without a gallery. What was open before is no longer to be used.
    std::string new_database() {
        const std::string name = "gallery" + std::to_string(++schemas_);
        sql("CREATE SCHEMA " + name);
        sql("SET search_path = " + name + ", public");
        return location();
    }
    void sql(const std::string &text) const {
        PGconn *connection = PQconnectdb(location().c_str());
        PGresult *result = PQexec(connection, text.c_str());
        const ExecStatusType status = PQresultStatus(result);
        EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            << text << ": " << PQerrorMessage(connection);
        PQclear(result);
        PQfinish(connection);
    }

  private:
    static constexpr const char *kPackages =
        "@electric-sql/pglite@0.5.14 @electric-sql/pglite-pgvector@0.0.15 "
        "@electric-sql/pglite-socket@0.2.17";

    PgliteServer() {
        const char *build = std::getenv("SPHERE_BUILD_ROOT");
        const char *source = std::getenv("SPHERE_SOURCE_ROOT");
        if (build == nullptr || source == nullptr) {
            unavailable_ = "SPHERE_BUILD_ROOT and SPHERE_SOURCE_ROOT are not set (meson test)";
            return;
        }
        folder_ = std::string(build) + "/pglite";
        script_ = std::string(source) + "/tests/support/pglite_server.mjs";
        unavailable_ = install();
        if (!unavailable_.empty())
            return;
        port_ = std::to_string(40000 + getpid() % 20000);
        if (!start())
            unavailable_ = "PGlite did not start (node 20 or newer is needed)";
        else
            sql("CREATE EXTENSION vector SCHEMA public");
    }
    ~PgliteServer() {
        if (child_ > 0) {
            kill(child_, SIGTERM);
            waitpid(child_, nullptr, 0);
        }
    }

    static int shell(const std::string &command) {
        return in_child([&] {
            execl("/bin/sh", "sh", "-c", (command + " >/dev/null 2>&1").c_str(), nullptr);
            return 98;
        });
    }
    /// Several tests may want it at the same time.
    std::string install() const {
        if (shell("node --version && npm --version") != 0)
            return "there is no node or npm (PGlite is an npm package)";
        std::filesystem::create_directories(folder_);
        const int lock = open((folder_ + "/lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        flock(lock, LOCK_EX);
        const std::string done = folder_ + "/installed";
        int result = 0;
        if (!std::filesystem::exists(done))
            result = shell("cp '" + script_ + "' '" + folder_ + "/' && cd '" + folder_ +
                           "' && timeout 200 npm install --no-audit --no-fund --ignore-scripts "
                           "--no-save --prefix . " +
                           kPackages + " && touch installed");
        else
            result = shell("cp '" + script_ + "' '" + folder_ + "/'");
        close(lock);
        return result == 0 ? "" : "npm did not give the packages of PGlite (no network?)";
    }
    bool start() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        child_ = fork();
        if (child_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM); // it does not outlive a test that crashes
            dup2(ends[1], STDOUT_FILENO);
            dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
            execlp("node", "node", (folder_ + "/pglite_server.mjs").c_str(), port_.c_str(),
                   nullptr);
            _exit(98);
        }
        close(ends[1]);
        char text[5];
        std::size_t have = 0;
        while (have < sizeof text) {
            const ssize_t got = read(ends[0], text + have, sizeof text - have);
            if (got <= 0)
                break;
            have += static_cast<std::size_t>(got);
        }
        close(ends[0]);
        return std::string(text, have) == "ready";
    }

    std::string folder_;
    std::string script_;
    std::string port_;
    std::string unavailable_;
    pid_t child_ = -1;
    int schemas_ = 0;
};

} // namespace sphere::testing
