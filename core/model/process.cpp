// SPDX-License-Identifier: MIT
#include "core/model/process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace sphere {
namespace {

constexpr std::size_t kMaxErrors = 4096;
constexpr int kTickMs = 100;

/// Reads what is there without waiting; keeps the end of it.
void drain(int fd, std::string &tail) {
    std::array<char, 4096> buffer{};
    ssize_t got = 0;
    while ((got = ::read(fd, buffer.data(), buffer.size())) > 0 ||
           (got < 0 && errno == EINTR)) {
        if (got > 0)
            tail.append(buffer.data(), static_cast<std::size_t>(got));
        if (tail.size() > kMaxErrors)
            tail.erase(0, tail.size() - kMaxErrors);
    }
}

/// posix_spawnp with the options' redirections. The error is an errno.
int spawn(const ProcessOptions &options, int stderr_fd, pid_t &pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (const int error = ::posix_spawn_file_actions_init(&actions))
        return error;
    if (const int error = ::posix_spawnattr_init(&attributes)) {
        ::posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    int error = 0;
    const auto check = [&error](int result) { error = error != 0 ? error : result; };
    check(::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0));
    if (options.stdout_fd >= 0)
        check(::posix_spawn_file_actions_adddup2(&actions, options.stdout_fd, 1));
    else
        check(::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0));
    check(::posix_spawn_file_actions_adddup2(&actions, stderr_fd, 2));
    if (!options.directory.empty())
        check(::posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str()));
    // A host's blocked signals (a media framework's thread) must not make the child deaf.
    sigset_t none;
    ::sigemptyset(&none);
    check(::posix_spawnattr_setsigmask(&attributes, &none));
    check(::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK));
    std::vector<char *> argv;
    for (const std::string &argument : options.argv)
        argv.push_back(
            const_cast<char *>(argument.c_str())); // posix_spawn does not write to them
    argv.push_back(nullptr);
    if (error == 0)
        error = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return error;
}

/// True once the child has ended; its status is then set.
bool ended(pid_t pid, int &status) {
    const pid_t got = ::waitpid(pid, &status, WNOHANG);
    // ECHILD: the host ignores SIGCHLD and the system has reaped it. Callers check what was
    // made.
    return got == pid || (got < 0 && errno != EINTR);
}

} // namespace

Result<ProcessResult> run_process(const ProcessOptions &options) {
    std::array<int, 2> ends{};
    if (options.argv.empty() || ::pipe2(ends.data(), O_CLOEXEC) != 0)
        return fail(Errc::Io, "cannot make a pipe: ", std::strerror(errno));
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t pid = -1;
    const int error = spawn(options, ends[1], pid);
    ::close(ends[1]);
    if (error != 0) {
        ::close(ends[0]);
        return fail(error == ENOENT ? Errc::NotFound : Errc::Io, "cannot start ",
                    options.argv[0], ": ", std::strerror(error));
    }
    ProcessResult result;
    int status = 0;
    // Not until the pipe closes: a grandchild may hold it open for longer than the program
    // lives.
    while (!ended(pid, status)) {
        pollfd wait{ends[0], POLLIN, 0};
        ::poll(&wait, 1, kTickMs);
        drain(ends[0], result.errors);
        if ((wait.revents & POLLIN) == 0 && (wait.revents & (POLLHUP | POLLERR)) != 0)
            ::poll(nullptr, 0, kTickMs / 10); // it closed stderr and runs on: do not spin
        if (!result.killed && options.tick && !options.tick()) {
            ::kill(pid, SIGKILL);
            result.killed = true;
        }
    }
    drain(ends[0], result.errors);
    ::close(ends[0]);
    result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return result;
}

} // namespace sphere
