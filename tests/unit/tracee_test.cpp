// SPDX-License-Identifier: MIT
#include "support.hpp"
#include "target/memory.hpp"
#include "target/tracee.hpp"

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr int stages = 4; // seized, interrupted, stopped, detached

/// A process that answers each byte with the next one, until it reads 'x' or end of file.
struct Echo {
    Echo()
    {
        Pipe to = make_pipe();
        Pipe from = make_pipe();
        target = std::make_unique<Grandchild>([&] {
            to.write.reset();
            from.read.reset();
            for (;;) {
                const int byte = get_byte(to.read);
                if (byte < 0 || byte == 'x') {
                    return 7;
                }
                put_byte(from.write, static_cast<char>(byte + 1));
            }
        });
        questions = std::move(to.write);
        answers = std::move(from.read);
    }

    [[nodiscard]] bool runs() const { return put_byte(questions, 'a') && get_byte(answers) == 'b'; }
    [[nodiscard]] std::string tracer() const
    {
        return procfs()->status_field(target->pid(), "TracerPid").value_or("gone");
    }

    Fd questions;
    Fd answers;
    std::unique_ptr<Grandchild> target;
};

bool may_trace()
{
    const Echo echo;
    const auto tracee = Tracee::seize(echo.target->pid());
    if (!tracee) {
        left_out("ptrace", tracee.error().to_string());
    }
    return tracee.has_value();
}

/// Goes as far as `stage` and returns the last step's result.
Result<void> go(Tracee &tracee, int stage)
{
    Result<void> done;
    if (stage >= 1 && done) {
        done = tracee.interrupt();
    }
    if (stage >= 2 && done) {
        done = tracee.wait_for_stop();
    }
    if (stage >= 3 && done) {
        done = tracee.detach();
    }
    return done;
}

} // namespace

TEST_CASE("Tracee: a target that was seized, stopped and released runs on")
{
    if (!may_trace()) {
        return;
    }
    Echo echo;
    for (int round = 0; round < 20; ++round) {
        auto tracee = Tracee::seize(echo.target->pid());
        REQUIRE(tracee.has_value());
        CHECK(tracee->tid() == echo.target->pid());
        CHECK(echo.runs()); // seizing doesn't stop it
        CHECK(tracee->interrupt().has_value());
        CHECK(tracee->wait_for_stop().has_value());
        CHECK(process_state(echo.target->pid()) == 't');
        CHECK(tracee->detach().has_value());
        CHECK(echo.runs());
        CHECK(echo.tracer() == "0");
    }
    put_byte(echo.questions, 'x');
    CHECK(WEXITSTATUS(echo.target->status()) == 7);
}

TEST_CASE("Tracee: destruction at any stage leaves the target running")
{
    if (!may_trace()) {
        return;
    }
    for (int stage = 0; stage < stages; ++stage) {
        CAPTURE(stage);
        Echo echo;
        {
            auto seized = Tracee::seize(echo.target->pid());
            REQUIRE(seized.has_value());
            Tracee moved(std::move(*seized)); // the moved-from one must not detach
            CHECK(go(moved, stage).has_value());
            CHECK(echo.tracer() == (stage < 3 ? std::to_string(getpid()) : "0"));
        }
        CHECK(echo.tracer() == "0");
        CHECK(echo.runs());
        put_byte(echo.questions, 'x');
        CHECK(WEXITSTATUS(echo.target->status()) == 7);
    }
}

TEST_CASE("Tracee: a target killed at any stage is reported, also to its parent")
{
    if (!may_trace()) {
        return;
    }
    for (int stage = 0; stage < stages; ++stage) {
        CAPTURE(stage);
        Echo echo;
        {
            auto tracee = Tracee::seize(echo.target->pid());
            REQUIRE(tracee.has_value());
            CHECK(go(*tracee, stage).has_value());
            kill(echo.target->pid(), SIGKILL);
            if (stage < 3) {
                wait_for_state(echo.target->pid(), "Z");
            }
            Result<void> rest;
            if (stage == 0) {
                rest = tracee->interrupt();
            }
            if (stage <= 1 && rest) {
                rest = tracee->wait_for_stop();
            } else if (stage == 2) {
                rest = tracee->detach();
            }
            if (stage < 3) {
                REQUIRE(rest.has_error());
                CHECK(rest.error().target_gone());
            }
        }
        const int status = echo.target->status();
        CHECK(WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGKILL);
    }
}

TEST_CASE("Tracee: a target that exits while it is traced")
{
    if (!may_trace()) {
        return;
    }
    for (const bool wait : {false, true}) {
        CAPTURE(wait);
        Echo echo;
        {
            auto tracee = Tracee::seize(echo.target->pid());
            REQUIRE(tracee.has_value());
            put_byte(echo.questions, 'x');
            wait_for_state(echo.target->pid(), "Z");
            if (wait) {
                (void)tracee->interrupt();
                const auto stopped = tracee->wait_for_stop();
                REQUIRE(stopped.has_error());
                CHECK(stopped.error().target_gone());
            }
        }
        CHECK(WEXITSTATUS(echo.target->status()) == 7);
    }
}

TEST_CASE("Tracee: a signal that arrives in the meantime is neither lost nor doubled")
{
    if (!may_trace()) {
        return;
    }
    for (int stage = 0; stage < stages; ++stage) {
        CAPTURE(stage);
        static volatile sig_atomic_t handled = 0;
        Pipe ready = make_pipe();
        Pipe end = make_pipe();
        Grandchild target([&] {
            end.write.reset();
            struct sigaction action {
            };
            action.sa_handler = [](int) { handled = handled + 1; };
            action.sa_flags = SA_RESTART;
            sigaction(SIGUSR1, &action, nullptr);
            put_byte(ready.write);
            (void)get_byte(end.read);
            return static_cast<int>(handled);
        });
        CHECK(get_byte(ready.read) == 'x');
        {
            auto tracee = Tracee::seize(target.pid());
            REQUIRE(tracee.has_value());
            CHECK(go(*tracee, stage).has_value());
            kill(target.pid(), SIGUSR1);
            if (stage == 0) { // the signal's own stop comes before the requested one
                wait_for_state(target.pid(), "t");
                CHECK(tracee->interrupt().has_value());
                CHECK(tracee->wait_for_stop().has_value());
            }
        }
        put_byte(end.write);
        CHECK(WEXITSTATUS(target.status()) == 1);
    }
}

TEST_CASE("Tracee: destruction in the middle of a signal's delivery does not swallow it")
{
    if (!may_trace()) {
        return;
    }
    Pipe ready = make_pipe();
    Grandchild target([&] {
        put_byte(ready.write);
        for (;;) {
            pause();
        }
        return 0;
    });
    CHECK(get_byte(ready.read) == 'x');
    {
        const auto tracee = Tracee::seize(target.pid());
        REQUIRE(tracee.has_value());
        kill(target.pid(), SIGTERM);
        wait_for_state(target.pid(), "t");
    }
    // A swallowed signal would leave the target waiting forever; this one ends it in either case.
    kill(target.pid(), SIGINT);
    const int status = target.status();
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE(
    "Tracee: the death of the tracer in the middle of a signal's delivery does not swallow it")
{
    if (!may_trace()) {
        return;
    }
    const Pipe ready = make_pipe();
    Grandchild target([&] {
        struct sigaction action {
        };
        action.sa_handler = [](int number) { ::_exit(number); };
        sigfillset(&action.sa_mask); // the one delivered first ends it
        sigaction(SIGUSR1, &action, nullptr);
        sigaction(SIGUSR2, &action, nullptr);
        put_byte(ready.write);
        for (;;) {
            ::pause();
        }
        return 0;
    });
    CHECK(get_byte(ready.read) == 'x');
    const Pipe stopped = make_pipe();
    Child tracer([&] {
        auto tracee = Tracee::seize(target.pid());
        if (!tracee || ::kill(target.pid(), SIGUSR1) != 0 || !tracee->wait_for_stop()) {
            return 1;
        }
        put_byte(stopped.write);
        for (;;) {
            ::pause();
        }
        return 0;
    });
    CHECK(get_byte(stopped.read) == 'x');
    tracer.kill_and_reap();
    (void)::kill(target.pid(), SIGUSR2); // ends it even if the first one is lost
    CHECK(WEXITSTATUS(target.status()) == SIGUSR1);
}

TEST_CASE("Tracee: a target stopped by job control stays stopped until SIGCONT")
{
    if (!may_trace()) {
        return;
    }
    for (int stage = 0; stage < stages; ++stage) {
        CAPTURE(stage);
        const Echo echo;
        const pid_t pid = echo.target->pid();
        kill(pid, SIGSTOP);
        wait_for_state(pid, "T");
        {
            auto tracee = Tracee::seize(pid);
            REQUIRE(tracee.has_value());
            CHECK(go(*tracee, stage).has_value());
        }
        wait_for_state(pid, "T");
        kill(pid, SIGCONT);
        CHECK(echo.runs());
    }
}

TEST_CASE("Tracee: processes that can't be seized")
{
    const auto gone = Tracee::seize(dead_pid());
    REQUIRE(gone.has_error());
    CHECK(gone.error().err == ESRCH);
    CHECK(gone.error().target_gone());
    CHECK(gone.error().to_string().find("ptrace(PTRACE_SEIZE, ") == 0);

    Pipe pipe = make_pipe();
    const Grandchild traced([&] {
        const bool good = ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
        put_byte(pipe.write, good ? 'y' : 'n');
        for (;;) {
            pause();
        }
        return 0;
    });
    if (get_byte(pipe.read) == 'y') {
        const auto refused = Tracee::seize(traced.pid());
        REQUIRE(refused.has_error());
        CHECK(refused.error().err == EPERM);
    }
}

TEST_CASE("Tracee: poke_text writes through page protections, and only there")
{
    if (!may_trace()) {
        return;
    }
    const Pages pages;
    const std::size_t page = Pages::page_size();
    pages.protect(1, PROT_READ);
    const Echo echo; // has a copy of the pages
    auto tracee = Tracee::seize(echo.target->pid());
    REQUIRE(tracee.has_value());
    CHECK(go(*tracee, 2).has_value());
    std::array<std::byte, 21> data{};
    std::memset(data.data(), 0x77, data.size());
    CHECK(tracee->poke_text(remote(pages.at(page + 3)), data).has_value());
    std::array<std::byte, 32> seen{};
    const int memory = open(("/proc/" + std::to_string(echo.target->pid()) + "/mem").c_str(),
                            O_RDONLY | O_CLOEXEC);
    REQUIRE(memory >= 0);
    const Fd closer(memory);
    const auto offset = static_cast<off_t>(remote(pages.at(page)).value());
    CHECK(pread(memory, seen.data(), seen.size(), offset) == 32);
    for (std::size_t i = 0; i < seen.size(); ++i) {
        CAPTURE(i);
        CHECK(seen.at(i) == (i >= 3 && i < 24 ? std::byte{0x77} : std::byte{0x5a}));
    }
    CHECK(*pages.at(page + 3) == std::byte{0x5a}); // the parent's pages are unchanged
    CHECK(tracee->poke_text(RemotePtr{8}, data).has_error());
    CHECK(tracee->detach().has_value());
    CHECK(echo.runs());
}

TEST_CASE("Tracee: poke_changes leaves matching words alone")
{
    if (!may_trace()) {
        return;
    }
    const Pages pages;
    const Echo echo; // has a copy of the pages, filled with 0x5a
    auto tracee = Tracee::seize(echo.target->pid());
    REQUIRE(tracee.has_value());
    CHECK(go(*tracee, 2).has_value());
    std::array<std::byte, 32> there{};
    std::array<std::byte, 28> data{};       // its last word is incomplete
    std::memset(there.data() + 8, 0x11, 8); // what the caller claims is there, not what is in the
                                            // pages
    std::memset(data.data() + 8, 0x11, 8);
    std::memset(data.data() + 16, 0x22, 12);
    CHECK(tracee->poke_changes(remote(pages.at(0)), data, there).has_value());
    CHECK(tracee->detach().has_value());
    std::array<std::byte, 32> seen{};
    CHECK(read_exactly(echo.target->pid(), remote(pages.at(0)), seen).has_value());
    for (std::size_t i = 0; i < seen.size(); ++i) {
        CAPTURE(i);
        CHECK(seen.at(i) == (i >= 16 && i < 28 ? std::byte{0x22} : std::byte{0x5a}));
    }
}
