// SPDX-License-Identifier: MIT
//
// Tracees in a process whose other threads wait, too, and which may be the target's parent.
#include "support.hpp"
#include "target/tracee.hpp"

#include <doctest/doctest.h>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>

using namespace clone2;
using namespace clone2::test;

namespace
{

int pause_for_ever()
{
    for (;;) {
        pause();
    }
    return 0;
}

bool may_trace()
{
    const auto sleeper = make_sleeper();
    const auto tracee = Tracee::seize(sleeper->pid(), Waiting::shared);
    if (!tracee) {
        left_out("ptrace", tracee.error().to_string());
    }
    return tracee.has_value();
}

/// What a plain wait in another thread reports about it.
int take_from_another_thread(pid_t pid)
{
    int status = 0;
    std::thread thief([&] { CHECK(waitpid(pid, &status, __WALL) == pid); });
    thief.join();
    return status;
}

std::string tracer_of(pid_t pid)
{
    return procfs()->status_field(pid, "TracerPid").value_or("gone");
}

} // namespace

TEST_CASE("shared: a stop that another thread has consumed is still found")
{
    if (!may_trace()) {
        return;
    }
    const auto child = make_sleeper();
    const Grandchild other(pause_for_ever);
    for (const pid_t pid : {child->pid(), other.pid()}) {
        for (int round = 0; round < 5; ++round) {
            auto tracee = Tracee::seize(pid, Waiting::shared);
            REQUIRE(tracee.has_value());
            CHECK(tracee->interrupt().has_value());
            wait_for_state(pid, "t");
            CHECK(WIFSTOPPED(take_from_another_thread(pid)));
            CHECK(tracee->wait_for_stop().has_value());
            CHECK(process_state(pid) == 't');
            CHECK(tracee->detach().has_value());
            wait_for_state(pid, "S");
            CHECK(tracer_of(pid) == "0");
        }
    }
}

TEST_CASE("shared: a stop that no other thread has consumed; no report of it remains")
{
    if (!may_trace()) {
        return;
    }
    const auto child = make_sleeper();
    for (int round = 0; round < 20; ++round) {
        auto tracee = Tracee::seize(child->pid(), Waiting::shared);
        REQUIRE(tracee.has_value());
        CHECK(tracee->interrupt().has_value());
        CHECK(tracee->wait_for_stop().has_value());
        int status = 0;
        CHECK(waitpid(child->pid(), &status, WNOHANG | WUNTRACED) == 0);
        CHECK(tracee->detach().has_value());
        CHECK(waitpid(child->pid(), &status, WNOHANG | WUNTRACED) == 0);
    }
}

TEST_CASE("shared: a signal whose delivery was reported to another thread is not lost")
{
    if (!may_trace()) {
        return;
    }
    for (const bool stolen : {true, false}) {
        CAPTURE(stolen);
        Pipe ready = make_pipe();
        Child child([&] {
            put_byte(ready.write); // the test framework's handlers have been reset
            return pause_for_ever();
        });
        CHECK(get_byte(ready.read) == 'x');
        {
            auto tracee = Tracee::seize(child.pid(), Waiting::shared);
            REQUIRE(tracee.has_value());
            kill(child.pid(), SIGTERM);
            wait_for_state(child.pid(), "t");
            if (stolen) {
                CHECK(WSTOPSIG(take_from_another_thread(child.pid())) == SIGTERM);
            }
            CHECK(tracee->interrupt().has_value());
            CHECK(tracee->wait_for_stop().has_value());
            CHECK(tracee->detach().has_value());
        }
        const int status = child.wait();
        CHECK(WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGTERM);
    }
}

TEST_CASE("shared: the end of our own child stays for its parent, at each stage")
{
    if (!may_trace()) {
        return;
    }
    for (int stage = 0; stage < 3; ++stage) { // seized, interrupted, stopped
        CAPTURE(stage);
        Child child(pause_for_ever);
        {
            auto tracee = Tracee::seize(child.pid(), Waiting::shared);
            REQUIRE(tracee.has_value());
            if (stage >= 1) {
                CHECK(tracee->interrupt().has_value());
            }
            if (stage >= 2) {
                CHECK(tracee->wait_for_stop().has_value());
            }
            kill(child.pid(), SIGKILL);
            wait_for_state(child.pid(), "Z");
            if (stage == 1) {
                const auto rest = tracee->wait_for_stop();
                REQUIRE(rest.has_error());
                CHECK(rest.error().target_gone());
            } else if (stage == 2) {
                CHECK(tracee->detach().has_error());
            }
        }
        const int status = child.wait();
        CHECK(WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGKILL);
    }
}

TEST_CASE(
    "shared: the end of another process's child is passed on, consumed by another thread or not")
{
    if (!may_trace()) {
        return;
    }
    for (const bool stolen : {true, false}) {
        CAPTURE(stolen);
        Grandchild target(pause_for_ever);
        {
            auto tracee = Tracee::seize(target.pid(), Waiting::shared);
            REQUIRE(tracee.has_value());
            CHECK(tracee->interrupt().has_value());
            wait_for_state(target.pid(), "t");
            kill(target.pid(), SIGKILL);
            wait_for_state(target.pid(), "Z");
            if (stolen) {
                CHECK(WIFSIGNALED(take_from_another_thread(target.pid())));
            }
            const auto rest = tracee->wait_for_stop();
            REQUIRE(rest.has_error());
            CHECK(rest.error().target_gone());
        }
        const int status = target.status();
        CHECK(WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGKILL);
    }
}
