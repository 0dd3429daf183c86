// SPDX-License-Identifier: MIT
//
// Another thread of the target calls execve: it takes over the tid of the traced leader.
#include "executor/executor.hpp"
#include "support.hpp"
#include "target/tracee.hpp"

#include <doctest/doctest.h>

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <linux/sched.h>
#include <memory>
#include <optional>
#include <string>
#include <thread>

using namespace clone2;
using namespace clone2::test;

namespace
{

enum class Leader {
    stops,    ///< an interrupt stops it there
    in_vfork, ///< an interrupt does not stop it there
};

pid_t tid_of_this_thread()
{
    return static_cast<pid_t>(syscall(SYS_gettid));
}

/// Sleeps killably, as a parent in vfork(2) does. Not vfork() itself, because ThreadSanitizer turns
/// it into fork. The child has its own memory.
long fork_and_wait()
{
    return syscall(SYS_clone, CLONE_VFORK | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
}

/// A process with three threads: the leader, one that executes a program when asked to, and a third
/// one. It is a child of this thread or not.
class Target
{
public:
    Target(Leader leader, bool own_child)
    {
        Pipe ready = make_pipe();
        Pipe go = make_pipe();
        Pipe settled = make_pipe();
        const auto body = [&, leader] {
            go.write.reset();
            std::thread third([&] {
                const pid_t tid = tid_of_this_thread();
                (void)!write(ready.write.get(), &tid, sizeof tid);
                for (;;) {
                    pause();
                }
            });
            std::thread executing([&] {
                (void)get_byte(go.read);
                execl("/bin/sleep", "sleep", "1000", nullptr);
                _exit(98);
            });
            if (leader == Leader::in_vfork && fork_and_wait() == 0) {
                // The leader must not end before this: then its child would stay behind.
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                put_byte(settled.write);
                for (;;) {
                    pause();
                }
            }
            for (;;) {
                pause();
            }
            return 0;
        };
        if (own_child) {
            child_ = std::make_unique<Child>(body);
        } else {
            grandchild_ = std::make_unique<Grandchild>(body);
        }
        ready.write.reset();
        REQUIRE(read(ready.read.get(), &third_, sizeof third_) == sizeof third_);
        go_ = std::move(go.write);
        if (leader == Leader::in_vfork) {
            REQUIRE(get_byte(settled.read) == 'x');
        }
        wait_for_state(pid(), leader == Leader::in_vfork ? "D" : "S");
    }

    [[nodiscard]] pid_t pid() const { return child_ ? child_->pid() : grandchild_->pid(); }
    [[nodiscard]] pid_t third() const { return third_; }
    void execute() const { put_byte(go_); }
    /// Waits until the tid belongs to the new program.
    void wait_for_program() const
    {
        while (procfs()->comm(pid()) != "sleep") {
            std::this_thread::yield();
        }
    }

private:
    std::unique_ptr<Child> child_;
    std::unique_ptr<Grandchild> grandchild_;
    pid_t third_ = 0;
    Fd go_;
};

/// Waits until a thread of this process sleeps in a wait for its tracee.
void wait_until_it_sleeps(pid_t tid)
{
    for (;;) {
        const std::string at =
            procfs()
                ->read_if_alive(getpid(), ("task/" + std::to_string(tid) + "/syscall").c_str())
                .value_or("");
        for (const long number : {SYS_waitid, SYS_nanosleep, SYS_clock_nanosleep}) {
            if (at.starts_with(std::to_string(number) + " ")) {
                return;
            }
        }
        std::this_thread::yield();
    }
}

struct Case {
    Waiting waiting;
    bool own_child;
};
constexpr std::array cases{Case{Waiting::alone, false}, Case{Waiting::alone, true},
                           Case{Waiting::shared, false}, Case{Waiting::shared, true}};

/// The notification of a target's leader, which an execve ends while the supervisor handles it.
class EndedByExec final : public NotificationSource
{
public:
    explicit EndedByExec(const Target &target) : target_(target) {}

    Result<Notification> receive() override { return Error{"fake", 0, ENOENT}; }
    [[nodiscard]] bool still_valid(std::uint64_t /*id*/) const override
    {
        if (++looks_ == 2) {
            target_.execute();
            target_.wait_for_program();
        }
        return looks_ < 2;
    }
    Result<void> answer(std::uint64_t /*id*/, std::int64_t /*value*/) override
    {
        return Error{"fake", 0, ENOENT};
    }
    [[nodiscard]] std::optional<bool> wait_killable() const override { return std::nullopt; }
    void learn_wait_killable(bool /*wait_killable*/) override { learned = true; }

    bool learned = false;

private:
    const Target &target_;
    mutable int looks_ = 0;
};

bool may_trace()
{
    const auto sleeper = make_sleeper();
    const auto tracee = Tracee::seize(sleeper->pid());
    if (!tracee) {
        left_out("ptrace", tracee.error().to_string());
    }
    return tracee.has_value();
}

} // namespace

TEST_CASE("exec by another thread ends the wait for the leader's stop")
{
    if (!may_trace()) {
        return;
    }
    for (const Case &one : cases) {
        const Waiting waiting = one.waiting;
        const bool own_child = one.own_child;
        CAPTURE(waiting);
        CAPTURE(own_child);
        const Target target(Leader::in_vfork, own_child);
        auto tracee = Tracee::seize(target.pid(), waiting);
        REQUIRE(tracee.has_value());
        CHECK(tracee->interrupt().has_value());
        std::thread other([&, waits = tid_of_this_thread()] {
            wait_until_it_sleeps(waits);
            target.execute();
        });
        const auto stopped = tracee->wait_for_stop();
        other.join();
        REQUIRE(stopped.has_error());
        CHECK(stopped.error().target_gone());
        target.wait_for_program(); // and it runs
        CHECK(procfs()->status_field(target.pid(), "TracerPid") == "0");
    }
}

TEST_CASE("exec by another thread, completed at each stage")
{
    if (!may_trace()) {
        return;
    }
    for (const Case &one : cases) {
        const Waiting waiting = one.waiting;
        const bool own_child = one.own_child;
        for (int stage = 0; stage < 3; ++stage) { // seized, interrupted, stopped
            CAPTURE(waiting);
            CAPTURE(own_child);
            CAPTURE(stage);
            const Target target(stage == 1 ? Leader::in_vfork : Leader::stops, own_child);
            {
                auto tracee = Tracee::seize(target.pid(), waiting);
                REQUIRE(tracee.has_value());
                if (stage >= 1) {
                    CHECK(tracee->interrupt().has_value());
                }
                if (stage >= 2) {
                    CHECK(tracee->wait_for_stop().has_value());
                }
                target.execute();
                target.wait_for_program();
                const std::array<std::byte, 8> word{};
                CHECK(tracee->poke_text(remote(&cases), word).has_error());
            }
            CHECK(procfs()->comm(target.pid()) == "sleep");
            CHECK(procfs()->status_field(target.pid(), "TracerPid") == "0");
        }
    }
}

TEST_CASE("exec by another thread while we wait for the leader's end")
{
    if (!may_trace()) {
        return;
    }
    for (const Case &one : cases) {
        const Waiting waiting = one.waiting;
        const bool own_child = one.own_child;
        CAPTURE(waiting);
        CAPTURE(own_child);
        const Target target(Leader::stops, own_child);
        auto tracee = Tracee::seize(target.pid(), waiting);
        REQUIRE(tracee.has_value());
        CHECK(tracee->interrupt().has_value());
        CHECK(tracee->wait_for_stop().has_value());
        std::atomic<bool> held{false};
        std::atomic<bool> ending{false};
        // The kernel waits for the third thread, whose end its tracer has not collected yet.
        std::thread other([&, waits = tid_of_this_thread()] {
            CHECK(ptrace(PTRACE_SEIZE, target.third(), nullptr, nullptr) == 0);
            held = true;
            held.notify_all();
            ending.wait(false);
            wait_until_it_sleeps(waits);
            CHECK(waitpid(target.third(), nullptr, __WALL | __WNOTHREAD) == target.third());
        });
        held.wait(false);
        target.execute();
        wait_for_state(target.pid(), "Z");
        ending = true;
        ending.notify_all();
        const bool ours_to_take = waiting == Waiting::alone || !own_child;
        CHECK(tracee->detach().has_error());
        if (!ours_to_take) { // else it sleeps by itself
            const timespec once{0, 1000000};
            nanosleep(&once, nullptr);
            wait_for_state(target.pid(), "SD");
        }
        other.join();
        target.wait_for_program();
        CHECK(procfs()->status_field(target.pid(), "TracerPid") == "0");
    }
}

TEST_CASE("exec by another thread while we find out whether signals end the leader's call")
{
    if (!may_trace()) {
        return;
    }
    const Target target(Leader::in_vfork, false);
    EndedByExec source(target);
    Images images(procfs());
    Executor executor(procfs(), images);
    Notification notification;
    notification.id = 1;
    notification.tid = target.pid();
    const auto passed = executor.pass_to_kernel({source, notification}, 1);
    REQUIRE(passed.has_value());
    CHECK(*passed == Redirected::gone);
    CHECK_FALSE(source.learned);
    CHECK(procfs()->comm(target.pid()) == "sleep");
}
