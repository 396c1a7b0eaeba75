// SPDX-License-Identifier: MIT
// What every Publisher must do, and how the JSON lines one meets broken pipes and full disks.
#include "tests/conformance/fakes.h"
#include "tests/support/gallery_testing.h"

#include <csignal>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

namespace sphere::testing {
namespace {

using Json = nlohmann::json;

FrameRecord frame(std::uint64_t pts, int embedding_values = 4) {
    FrameRecord record;
    record.stream = "cam";
    record.pts_ns = pts;
    record.width = 64;
    record.height = 48;
    record.faces.emplace_back();
    record.faces[0].embedding = Embedding{
        nullptr, std::vector<float>(static_cast<std::size_t>(embedding_values), 0.123456F)};
    return record;
}

std::vector<std::string> lines_of(const std::string &text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

/// A publisher and a way to read what came out of it.
struct PublisherCase {
    const char *name;
    std::unique_ptr<Publisher> (*make)(const TempDir &dir, std::string &text, bool embeddings);
    std::string (*read)(const TempDir &dir, const std::string &text);
};

std::unique_ptr<Publisher> make_file(const TempDir &dir, std::string &, bool embeddings) {
    auto publisher = make_publisher({dir / "out.jsonl", embeddings});
    EXPECT_TRUE(publisher.ok());
    return std::move(*publisher);
}
std::unique_ptr<Publisher> make_fake(const TempDir &, std::string &text, bool embeddings) {
    return std::make_unique<FakePublisher>(text, embeddings);
}

class PublisherConformance : public ::testing::TestWithParam<PublisherCase> {
  protected:
    std::unique_ptr<Publisher> make(bool embeddings = false) {
        return GetParam().make(dir_, text_, embeddings);
    }
    std::vector<std::string> lines() const { return lines_of(GetParam().read(dir_, text_)); }
    TempDir dir_;
    std::string text_;
};

TEST_P(PublisherConformance, OneWholeLineARecordInOrder) {
    const auto publisher = make();
    for (std::uint64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(publisher->publish(frame(i)).ok());
        ASSERT_TRUE(publisher->flush().ok());
        ASSERT_EQ(lines().size(), i + 1); // nothing is kept back
    }
    std::uint64_t expected = 0;
    for (const std::string &line : lines()) {
        EXPECT_EQ(line, to_json_line(frame(expected), false));
        EXPECT_EQ(Json::parse(line)["pts"], expected++);
    }
}

TEST_P(PublisherConformance, EmbeddingsOnlyWhenAskedFor) {
    ASSERT_TRUE(make(false)->publish(frame(1)).ok());
    EXPECT_FALSE(Json::parse(lines().back())["faces"][0].contains("embedding"));
    ASSERT_TRUE(make(true)->publish(frame(1)).ok());
    EXPECT_TRUE(Json::parse(lines().back())["faces"][0].contains("embedding"));
}

INSTANTIATE_TEST_SUITE_P(
    All, PublisherConformance,
    ::testing::Values(PublisherCase{"jsonl", make_file,
                                    [](const TempDir &dir, const std::string &) {
                                        return read_bytes(dir / "out.jsonl");
                                    }},
                      PublisherCase{
                          "fake", make_fake,
                          [](const TempDir &, const std::string &text) { return text; }}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(PublisherFactory, SaysWhatIsNotThere) {
    const auto publisher = make_publisher({"amqp://broker/queue", false});
    ASSERT_FALSE(publisher.ok());
    EXPECT_EQ(publisher.error().code, Errc::Unsupported);
    EXPECT_NE(publisher.error().message.find("mqtts://"), std::string::npos);
    EXPECT_EQ(make_publisher({"", false}).error().code, Errc::InvalidArgument);
    EXPECT_EQ(make_publisher({std::string("a\0b", 3), false}).error().code,
              Errc::InvalidArgument);
}

TEST(JsonlPublisher, MakesPrivateFilesAndTruncates) {
    const TempDir dir;
    const std::string path = dir / "out.jsonl";
    const mode_t old_mask = umask(0);
    { ASSERT_TRUE((*make_publisher({path, false}))->publish(frame(1)).ok()); }
    umask(old_mask);
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    { ASSERT_TRUE((*make_publisher({path, false}))->publish(frame(2)).ok()); }
    EXPECT_EQ(read_bytes(path), to_json_line(frame(2), false) + "\n");
}

TEST(JsonlPublisher, SaysWhyAFileCannotBeMade) {
    const TempDir dir;
    const auto missing = make_publisher({dir / "no/such/out.jsonl", false});
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().code, Errc::NotFound);
    EXPECT_NE(missing.error().message.find("mkdir -p"), std::string::npos);
    EXPECT_NE(missing.error().message.find(dir / "no/such"), std::string::npos);
    EXPECT_EQ(make_publisher({dir.path(), false}).error().code, Errc::InvalidArgument);
    write_bytes(dir / "plain", "");
    EXPECT_EQ(make_publisher({dir / "plain/out", false}).error().code, Errc::NotFound);
    chmod((dir / "plain").c_str(), 0400);
    EXPECT_EQ(
        in_unprivileged_child([&] {
            const auto publisher = make_publisher({dir / "plain", false});
            return publisher.ok() ? 1 : publisher.error().code == Errc::Permission ? 0 : 2;
        }),
        0);
}

TEST(JsonlPublisher, AFullDiskIsNoSpaceEachTime) {
    auto publisher = make_publisher({"/dev/full", false});
    ASSERT_TRUE(publisher.ok());
    for (int i = 0; i < 3; ++i) {
        const auto published = (*publisher)->publish(frame(1));
        ASSERT_FALSE(published.ok());
        EXPECT_EQ(published.error().code, Errc::NoSpace);
        EXPECT_NE(published.error().message.find("/dev/full"), std::string::npos);
    }
}

/// The default action of SIGXFSZ would end the child.
int publish_until_the_limit(const std::string &path) {
    auto publisher = make_publisher({path, true});
    if (!publisher)
        return 1;
    rlimit limit{2000, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    int refused = 0;
    for (std::uint64_t i = 0; i < 10; ++i) {
        const auto published = (*publisher)->publish(frame(i, 30));
        if (!published) {
            if (published.error().code != Errc::NoSpace)
                return 2;
            ++refused;
        }
    }
    if (refused == 0)
        return 3;
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    return (*publisher)->publish(frame(99)).ok() ? 0 : 4;
}

TEST(JsonlPublisher, AfterAFullDiskEveryLineIsWhole) {
    const TempDir dir;
    EXPECT_EQ(in_child([&] { return publish_until_the_limit(dir / "out.jsonl"); }), 0);
    const std::string text = read_bytes(dir / "out.jsonl");
    const auto lines = lines_of(text);
    ASSERT_GE(lines.size(), 2u);
    EXPECT_EQ(text.back(), '\n');
    for (const std::string &line : lines)
        EXPECT_TRUE(Json::accept(line)) << line;
    EXPECT_EQ(Json::parse(lines.back())["pts"], 99);
}

TEST(JsonlPublisher, WhereAHalfLineCannotBeTakenBackTheNextStartsAnew) {
    const TempDir dir;
    const std::string path = dir / "out.jsonl";
    // stdout onto a file that others may write to: only ours to append to.
    EXPECT_EQ(in_child([&] {
                  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
                  dup2(fd, STDOUT_FILENO);
                  return publish_until_the_limit("-");
              }),
              0);
    const auto lines = lines_of(read_bytes(path));
    ASSERT_GE(lines.size(), 3u);
    int broken = 0;
    for (const std::string &line : lines)
        broken += Json::accept(line) ? 0 : 1;
    EXPECT_EQ(broken, 1);
    EXPECT_EQ(Json::parse(lines.back())["pts"], 99);
}

TEST(JsonlPublisher, AReaderThatLeftIsAnErrorAndNotASignal) {
    EXPECT_EQ(in_child([] {
                  int ends[2];
                  if (pipe(ends) != 0)
                      return 1;
                  dup2(ends[1], STDOUT_FILENO);
                  close(ends[1]);
                  close(ends[0]);
                  signal(SIGPIPE, SIG_DFL);
                  auto publisher = make_publisher({"-", false});
                  if (!publisher)
                      return 2;
                  for (int i = 0; i < 3; ++i) {
                      const auto published = (*publisher)->publish(frame(1));
                      if (published || published.error().code != Errc::Io)
                          return 3;
                  }
                  sigset_t pending;
                  sigpending(&pending);
                  sigset_t blocked;
                  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
                  return sigismember(&pending, SIGPIPE) || sigismember(&blocked, SIGPIPE) ? 4
                                                                                          : 0;
              }),
              0);
}

TEST(JsonlPublisher, AClosedStdoutIsSaidSo) {
    EXPECT_EQ(in_child([] {
                  close(STDOUT_FILENO);
                  const auto publisher = make_publisher({"-", false});
                  return !publisher && publisher.error().code == Errc::InvalidArgument ? 0 : 1;
              }),
              0);
}

/// A slow reader, a pipe smaller than a record, non-blocking writes and signals in between.
TEST(JsonlPublisher, ShortWritesAreFinished) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        dup2(ends[1], STDOUT_FILENO);
        struct sigaction action {};
        action.sa_handler = [](int) {};
        sigaction(SIGALRM, &action, nullptr); // without SA_RESTART: writes end with EINTR
        const itimerval each{{0, 2000}, {0, 2000}};
        setitimer(ITIMER_REAL, &each, nullptr);
        auto publisher = make_publisher({"-", true});
        for (std::uint64_t i = 0; i < 5; ++i)
            if (!publisher || !(*publisher)->publish(frame(i, 16384)))
                _exit(1);
        _exit(0);
    }
    close(ends[1]);
    std::string text;
    char buffer[10000];
    for (ssize_t count = 0; (count = read(ends[0], buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(count));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    const auto lines = lines_of(text);
    ASSERT_EQ(lines.size(), 5u);
    for (std::uint64_t i = 0; i < 5; ++i)
        EXPECT_EQ(lines[i], to_json_line(frame(i, 16384), true));
}

TEST(JsonlPublisher, AKilledProcessLeavesWholeLines) {
    const TempDir dir;
    const pid_t child = fork();
    if (child == 0) {
        auto publisher = make_publisher({dir / "out.jsonl", true});
        for (std::uint64_t i = 0; publisher; ++i)
            if (!(*publisher)->publish(frame(i, 512)))
                _exit(1);
        _exit(1);
    }
    for (int waited = 0; waited < 1000; ++waited) {
        std::error_code none;
        if (std::filesystem::file_size(dir / "out.jsonl", none) > 100000 && !none)
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    const std::string text = read_bytes(dir / "out.jsonl");
    ASSERT_GT(text.size(), 100000u);
    EXPECT_EQ(text.back(), '\n');
    std::uint64_t expected = 0;
    for (const std::string &line : lines_of(text))
        ASSERT_EQ(Json::parse(line)["pts"], expected++);
}

} // namespace
} // namespace sphere::testing
