// SPDX-License-Identifier: MIT
//
// The embedding program is the targets' parent: what its own waits see, and that they do no harm.
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <memory>
#include <thread>
#include <vector>

using namespace clone2::test;
using namespace clone2::test::api;

namespace
{

constexpr int rounds = 200;

volatile sig_atomic_t sigchlds = 0;
volatile sig_atomic_t stops_seen = 0;
volatile sig_atomic_t ended = 0;
volatile sig_atomic_t end_status = 0;

/// As many programs do.
void reap_all(int /*signal*/)
{
    const int kept = errno;
    sigchlds = sigchlds + 1;
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (WIFSTOPPED(status)) {
            stops_seen = stops_seen + 1;
        } else {
            end_status = status;
            ended = pid;
        }
    }
    errno = kept;
}

/// Installs a handler for SIGCHLD while it exists.
struct SigchldHandler {
    explicit SigchldHandler(void (*function)(int))
    {
        struct sigaction action {
        };
        action.sa_handler = function;
        action.sa_flags = SA_RESTART; // without SA_NOCLDSTOP
        sigaction(SIGCHLD, &action, nullptr);
    }
    ~SigchldHandler() { signal(SIGCHLD, SIG_DFL); }
    SigchldHandler(const SigchldHandler &) = delete;
    SigchldHandler &operator=(const SigchldHandler &) = delete;
};

} // namespace

TEST_CASE("parent: dispatch, with a handler that reaps everything")
{
    // In a single-threaded process, because the sanitizers' own threads must not take the signal.
    Child program([] {
        Target target([] { return call_many(rounds) == 0 ? 6 : 1; });
        Watched watched;
        watched.add(target);
        const SigchldHandler handler(reap_all);
        watched.dispatch_until([] { return ended != 0; });
        target.forget();
        if (ended != target.pid() || !WIFEXITED(end_status) || WEXITSTATUS(end_status) != 6) {
            return 1;
        }
        if (watched.events().size() != rounds) {
            return 2;
        }
        if (sigchlds < 2) { // one for the end, and some for stops
            return 3;
        }
        return stops_seen == 0 ? 0 : 4;
    });
    CHECK(WEXITSTATUS(program.wait()) == 0);
}

TEST_CASE("parent: dispatch, and a wait for the child afterwards")
{
    Target target([] { return call_many(rounds) == 0 ? 6 : 1; });
    Watched watched;
    watched.add(target);
    int status = -1;
    pid_t pid = 0;
    watched.dispatch_until([&] {
        pid = waitpid(target.pid(), &status, WNOHANG | WUNTRACED);
        return pid != 0;
    });
    target.forget();
    CHECK(pid == target.pid());
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 6);
    CHECK(watched.events().size() == rounds);
}

TEST_CASE("parent: run on another thread, while this one waits for its children")
{
    Watched watched;
    std::vector<std::unique_ptr<Target>> targets;
    for (int i = 0; i < 3; ++i) {
        targets.push_back(std::make_unique<Target>([] { return call_many(rounds) == 0 ? 6 : 1; }));
        watched.add(*targets.back());
    }
    std::thread server([&] { clone2_supervisor_run(watched.get(), 0); });
    // It sees ends, and perhaps stops. The targets must not hang because of that.
    std::size_t ends = 0;
    while (ends < targets.size()) {
        int status = 0;
        const pid_t pid = waitpid(-1, &status, 0);
        REQUIRE(pid > 0);
        const bool ours = std::any_of(targets.begin(), targets.end(),
                                      [&](const auto &target) { return target->pid() == pid; });
        if (ours && !WIFSTOPPED(status)) { // an orphan of another test may appear, too
            ++ends;
            CHECK(WIFEXITED(status));
            CHECK(WEXITSTATUS(status) == 6);
        }
    }
    server.join();
    for (auto &target : targets) {
        target->forget();
    }
    CHECK(watched.events().size() == targets.size() * rounds);
}

TEST_CASE("parent: run, with threads that wait for everything all the time")
{
    Target target([] { return call_many(rounds) == 0 ? 6 : 1; });
    Watched watched;
    watched.add(target);
    std::atomic<bool> over{false};
    std::atomic<int> stolen{0};
    std::thread server([&] {
        clone2_supervisor_run(watched.get(), 0);
        over = true;
    });
    int status = -1;
    const auto steal = [&] {
        while (!over) {
            siginfo_t info{};
            if (waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG | __WALL) == 0 && info.si_pid != 0) {
                ++stolen;
            }
        }
    };
    std::thread thief(steal);
    steal();
    thief.join();
    server.join();
    MESSAGE("stops taken from the supervisor: " << stolen.load());
    status = target.wait();
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 6);
    CHECK(watched.events().size() == rounds);
}

TEST_CASE("parent: a child killed during a call is left for the parent to reap")
{
    for (int i = 0; i < 30; ++i) {
        CAPTURE(i);
        Target target([] {
            for (;;) {
                (void)call_many(1);
            }
            return 0;
        });
        Watched watched;
        watched.add(target);
        std::thread killer([&] {
            const timespec delay{0, 1'000'000L * (i % 7) + 37'000L * i};
            nanosleep(&delay, nullptr);
            kill(target.pid(), SIGKILL);
        });
        watched.dispatch_until([&] { return target.has_ended(); });
        killer.join();
        int status = 0;
        CHECK(waitpid(target.pid(), &status, 0) == target.pid());
        CHECK(WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGKILL);
        target.forget();
    }
}

TEST_CASE("parent: with SIGCHLD ignored, so that the kernel reaps")
{
    Child program([] {
        signal(SIGCHLD, SIG_IGN);
        Pipe told = make_pipe();
        Target target([&] {
            signal(SIGCHLD, SIG_DFL); // for its own children
            put_byte(told.write, static_cast<char>('0' + call_many(20)));
            return 0;
        });
        told.write.reset();
        Watched watched;
        watched.add(target);
        watched.dispatch_until([&] { return !watched.ends().empty(); });
        target.forget();
        return get_byte(told.read) == '0' && watched.events().size() == 20 ? 0 : 1;
    });
    CHECK(WEXITSTATUS(program.wait()) == 0);
}
