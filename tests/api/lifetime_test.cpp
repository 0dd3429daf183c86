// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <memory>
#include <sched.h>
#include <string_view>
#include <sys/syscall.h>
#include <thread>

using namespace clone2::test;
using namespace clone2::test::api;

namespace
{

/// Waits until the supervisor has something to do.
void wait_for_work(const Watched &watched)
{
    pollfd polled{clone2_supervisor_fd(watched.get()), POLLIN, 0};
    while (poll(&polled, 1, -1) != 1) {
    }
}

clone2_supervisor *volatile to_stop = nullptr;

} // namespace

TEST_CASE("new: what it refuses")
{
    clone2_supervisor *made = nullptr;
    CHECK(clone2_supervisor_new(nullptr, nullptr) == -EINVAL);
    clone2_supervisor_options options = CLONE2_SUPERVISOR_OPTIONS_INIT;
    options.flags = 1U << 20U;
    CHECK(clone2_supervisor_new(&options, &made) == -EINVAL);
    CHECK(made == nullptr);
    options.flags = 0;
    options.size = 3;
    CHECK(clone2_supervisor_new(&options, &made) == -EINVAL);
    CHECK(made == nullptr);

    struct {
        clone2_supervisor_options known = CLONE2_SUPERVISOR_OPTIONS_INIT;
        std::uint64_t later = 0;
    } larger;
    larger.known.size = sizeof larger;
    larger.later = 1;
    CHECK(clone2_supervisor_new(&larger.known, &made) == -E2BIG);
    CHECK(made == nullptr);
    larger.later = 0;
    CHECK(clone2_supervisor_new(&larger.known, &made) == 0);
    CHECK(clone2_supervisor_free(made) == 0);

    // An earlier version's shorter struct: the bytes after it must be ignored.
    options = CLONE2_SUPERVISOR_OPTIONS_INIT;
    options.size = offsetof(clone2_supervisor_options, user);
    options.event = reinterpret_cast<void (*)(void *, const clone2_event *)>(1);
    CHECK(clone2_supervisor_new(&options, &made) == 0);
    CHECK(clone2_supervisor_free(made) == 0);
    CHECK(clone2_supervisor_free(nullptr) == 0);
}

TEST_CASE("new: without free descriptors it fails and leaks nothing")
{
    Child child([] {
        const int first = dup(0);
        close(first);
        const rlimit few{static_cast<rlim_t>(first) + 2, static_cast<rlim_t>(first) + 2};
        setrlimit(RLIMIT_NOFILE, &few);
        clone2_supervisor *made = nullptr;
        if (clone2_supervisor_new(nullptr, &made) != -EMFILE || made != nullptr) {
            return 1;
        }
        return dup(0) == first ? 0 : 2;
    });
    CHECK(WEXITSTATUS(child.wait()) == 0);
}

TEST_CASE("add_listener: the caller keeps a refused descriptor")
{
    Watched watched;
    const Pipe pipe = make_pipe();
    clone2_supervisor *const supervisor = watched.get();
    CHECK(clone2_supervisor_add_listener(supervisor, -1, nullptr, 0) == -EBADF);
    CHECK(clone2_supervisor_add_listener(supervisor, 1000000, nullptr, 0) == -EBADF);
    CHECK(clone2_supervisor_add_listener(supervisor, pipe.read.get(), nullptr, 0) == -EINVAL);
    CHECK(put_byte(pipe.write));
    CHECK(get_byte(pipe.read) == 'x');

    Target target([] { return call_many(1); });
    const int listener = target.take_listener();
    CHECK(clone2_supervisor_add_listener(supervisor, listener, nullptr, 1U << 20U) == -EINVAL);
    CHECK(clone2_supervisor_add_listener(supervisor, listener, nullptr,
                                         CLONE2_LISTENER_WAIT_KILLABLE |
                                             CLONE2_LISTENER_NOT_WAIT_KILLABLE) == -EINVAL);
    CHECK(clone2_supervisor_listener_count(supervisor) == 0);
    CHECK(fcntl(listener, F_GETFD) >= 0);
    CHECK(clone2_supervisor_add_listener(supervisor, listener, nullptr, 0) == 0);
    CHECK(fcntl(listener, F_GETFD) < 0); // now the supervisor's
    CHECK(clone2_supervisor_listener_count(supervisor) == 1);
    CHECK(watched.dispatch_until_end_of(target) == 0);
}

TEST_CASE("ended: a callback that does not return holds up no other target")
{
    const Pipe go = make_pipe();
    Target first([] { return 0; });
    Target second([&] {
        (void)get_byte(go.read);
        return call_many(1);
    });
    Watched watched;
    int status = -1;
    watched.on_ended = [&](const End &end) {
        if (end.cookie == &first) {
            put_byte(go.write);
            status = second.wait();
        }
    };
    watched.add(first, &first);
    watched.add(second, &second);
    CHECK(clone2_supervisor_run(watched.get(), 0) == 0);
    CHECK(status == 0);
    CHECK(watched.ends().size() == 2);
}

TEST_CASE("ended: called once, when the last target is gone")
{
    // The target leaves a process behind, which still makes calls.
    Pipe go = make_pipe();
    Target target([&] {
        go.write.reset();
        if (fork() == 0) {
            (void)get_byte(go.read);
            _exit(call_many(3));
        }
        return 0;
    });
    Watched watched;
    watched.add(target, &go);
    CHECK(watched.dispatch_until_end_of(target) == 0);
    CHECK(watched.ends().empty());
    CHECK(watched.events().empty());
    go.write.reset();
    watched.dispatch_until([&] { return !watched.ends().empty(); });
    CHECK(watched.events().size() == 3);
    CHECK(watched.ends().size() == 1);
    CHECK(watched.ends()[0].cookie == &go);
    CHECK(watched.ends()[0].why == CLONE2_ENDED_TARGETS_GONE);
    CHECK(clone2_supervisor_listener_count(watched.get()) == 0);
    CHECK(watched.free() == 0);
    CHECK(watched.ends().size() == 1);
}

TEST_CASE("free: a waiting target gets ENOSYS and lives on")
{
    Target target([] {
        if (call_clone2(SIGCHLD) != -ENOSYS || call_clone2(SIGCHLD) != -ENOSYS) {
            return 1;
        }
        const pid_t child = fork();
        if (child == 0) {
            _exit(call_clone2(SIGCHLD) == -ENOSYS ? 7 : 8);
        }
        return reap(child);
    });
    Watched watched;
    watched.add(target, &target);
    wait_for_work(watched);
    CHECK(watched.free() == 0);
    CHECK(WEXITSTATUS(target.wait()) == 7);
    REQUIRE(watched.ends().size() == 1);
    CHECK(watched.ends()[0].cookie == &target);
    CHECK(watched.ends()[0].why == CLONE2_ENDED_FREED);
    CHECK(watched.events().empty());
}

TEST_CASE("free: a call in progress on another thread completes")
{
    Target target([] {
        if (call_many(1) != 0) {
            return 1;
        }
        const long pid = call_clone2(SIGCHLD | CLONE_FS, {}, 5);
        if (pid <= 0 || reap(pid) != 5) {
            return 2;
        }
        return call_clone2(SIGCHLD) == -ENOSYS ? 0 : 3;
    });
    Watched watched(CLONE2_FAILURES_ONLY);
    std::atomic<bool> asked{false};
    Pipe go = make_pipe();
    watched.on_policy = [&](const clone2_request &request, char *) {
        if ((request.flags & CLONE_FS) != 0) {
            asked = true;
            asked.notify_all();
            (void)get_byte(go.read);
        }
        return 0;
    };
    watched.add(target);
    std::atomic<int> result{0};
    std::thread server([&] { result = clone2_supervisor_run(watched.get(), 0); });
    asked.wait(false);
    std::thread later([&] {
        wait_for_work(watched); // free() has stopped it
        put_byte(go.write);
    });
    CHECK(watched.free() == 0);
    later.join();
    server.join();
    CHECK(result == -ECANCELED);
    CHECK(WEXITSTATUS(target.wait()) == 0);
}

TEST_CASE("stop: from another thread, from a callback, from a signal handler")
{
    for (const char *from : {"thread", "callback", "handler"}) {
        CAPTURE(from);
        const std::string_view where(from);
        Pipe go = make_pipe();
        Target target([&] {
            go.write.reset();
            const int first = call_many(1);
            (void)get_byte(go.read);
            return first;
        });
        Watched watched;
        watched.add(target);
        const pthread_t self = pthread_self();
        std::thread other;
        watched.on_event = [&](const clone2_event &) {
            if (where == "callback") {
                clone2_supervisor_stop(watched.get());
            } else if (where == "thread") {
                other = std::thread([&] { clone2_supervisor_stop(watched.get()); });
            } else {
                to_stop = watched.get();
                struct sigaction action {
                };
                action.sa_handler = [](int) { clone2_supervisor_stop(to_stop); };
                sigaction(SIGUSR1, &action, nullptr);
                pthread_kill(self, SIGUSR1);
            }
        };
        CHECK(clone2_supervisor_run(watched.get(), CLONE2_RUN_UNTIL_STOPPED) == -ECANCELED);
        if (other.joinable()) {
            other.join();
        }
        signal(SIGUSR1, SIG_DFL);
        // For good.
        wait_for_work(watched);
        CHECK(clone2_supervisor_dispatch(watched.get()) == -ECANCELED);
        CHECK(clone2_supervisor_run(watched.get(), 0) == -ECANCELED);
        wait_for_work(watched);
        CHECK(watched.events().size() == 1);
        CHECK(watched.ends().empty());
        go.write.reset();
        CHECK(WEXITSTATUS(target.wait()) == 0);
    }
}

TEST_CASE("stop: a waiting call is no longer received, not even by a dispatch() in progress")
{
    // Unreadable arguments are answered at once: the call has a single notification.
    const auto call = [] { return syscall(CLONE2_DEFAULT_NR, 8, nullptr) == -1 ? errno : 0; };
    Target one(call);
    Target other(call);
    Watched watched;
    watched.on_event = [&](const clone2_event &) { clone2_supervisor_stop(watched.get()); };
    for (Target *target : {&one, &other}) {
        const int listener = target->take_listener();
        pollfd polled{listener, POLLIN, 0};
        while (poll(&polled, 1, -1) != 1) { // its call waits
        }
        REQUIRE(clone2_supervisor_add_listener(watched.get(), listener, nullptr,
                                               target->listener_flags()) == 0);
    }
    CHECK(clone2_supervisor_dispatch(watched.get()) == 1);
    CHECK(watched.events().size() == 1);
    CHECK(watched.free() == 0);
    CHECK(WEXITSTATUS(one.wait()) + WEXITSTATUS(other.wait()) == EFAULT + ENOSYS);
}

TEST_CASE("stop: a dispatching thread is told")
{
    Watched watched;
    std::thread other([&] { clone2_supervisor_stop(watched.get()); });
    wait_for_work(watched);
    other.join();
    CHECK(clone2_supervisor_dispatch(watched.get()) == -ECANCELED);
}

TEST_CASE("callbacks: what they may call, and what is refused")
{
    for (const bool dispatched : {true, false}) {
        CAPTURE(dispatched);
        Watched watched;
        auto second = std::make_unique<Target>([] { return call_many(2); });
        auto third = std::make_unique<Target>([] { return call_many(2); });
        Target first([] { return call_many(2); });
        std::atomic<int> refusals{0}; // with run(), several threads call back
        watched.on_event = [&](const clone2_event &) {
            refusals += clone2_supervisor_dispatch(watched.get()) == -EBUSY ? 1 : 0;
            refusals += clone2_supervisor_run(watched.get(), 0) == -EBUSY ? 1 : 0;
            refusals += clone2_supervisor_free(watched.get()) == -EDEADLK ? 1 : 0;
            CHECK(clone2_supervisor_listener_count(watched.get()) >= 1);
        };
        std::atomic<bool> second_added{false};
        watched.on_policy = [&](const clone2_request &, char *) {
            if (!second_added.exchange(true)) {
                watched.add(*second, second.get());
            }
            return 0;
        };
        watched.on_ended = [&](const End &end) {
            if (end.cookie == second.get()) {
                watched.add(*third, third.get());
            }
        };
        watched.add(first);
        if (dispatched) {
            watched.dispatch_until([&] { return watched.ends().size() == 3; });
        } else {
            CHECK(clone2_supervisor_run(watched.get(), 0) == 0);
        }
        CHECK(first.wait() == 0);
        CHECK(second->wait() == 0);
        CHECK(third->wait() == 0);
        CHECK(watched.ends().size() == 3);
        CHECK(watched.events().size() == 6);
        CHECK(refusals == 18);
    }
}

TEST_CASE("one thread at a time: a second one is refused")
{
    Watched watched;
    std::thread server([&] { clone2_supervisor_run(watched.get(), CLONE2_RUN_UNTIL_STOPPED); });
    Target target([] { return call_many(1); });
    watched.add(target);
    CHECK(target.wait() == 0); // it has been served, so run() is running
    CHECK(clone2_supervisor_dispatch(watched.get()) == -EBUSY);
    CHECK(clone2_supervisor_run(watched.get(), 0) == -EBUSY);
    CHECK(clone2_supervisor_run(watched.get(), 1U << 20U) == -EINVAL);
    clone2_supervisor_stop(watched.get());
    server.join();
}

TEST_CASE("fork: the child is refused")
{
    Watched watched;
    Target target([] { return call_many(2); });
    watched.add(target);
    Child child([&] {
        clone2_supervisor_stop(watched.get()); // must not stop the parent's
        return clone2_supervisor_dispatch(watched.get()) == -ECHILD &&
                       clone2_supervisor_run(watched.get(), 0) == -ECHILD &&
                       clone2_supervisor_add_listener(watched.get(), 0, nullptr, 0) == -ECHILD &&
                       clone2_supervisor_listener_count(watched.get()) == -ECHILD &&
                       clone2_supervisor_free(watched.get()) == -ECHILD
                   ? 0
                   : 1;
    });
    CHECK(WEXITSTATUS(child.wait()) == 0);
    CHECK(watched.dispatch_until_end_of(target) == 0);
}

TEST_CASE("cancellation: not inside the library")
{
    Watched watched;
    std::atomic<bool> begun{false};
    struct Shared {
        Watched &watched;
        std::atomic<bool> &begun;
        int result = 1;
    } shared{watched, begun};
    pthread_t thread{};
    REQUIRE(pthread_create(
                &thread, nullptr,
                [](void *argument) -> void * {
                    auto &with = *static_cast<Shared *>(argument);
                    with.begun = true;
                    with.begun.notify_all();
                    with.result =
                        clone2_supervisor_run(with.watched.get(), CLONE2_RUN_UNTIL_STOPPED);
                    return argument;
                },
                &shared) == 0);
    begun.wait(false);
    Target target([] { return call_many(1); });
    watched.add(target);
    CHECK(target.wait() == 0); // it serves
    pthread_cancel(thread);
    Target another([] { return call_many(1); });
    watched.add(another);
    CHECK(another.wait() == 0); // and still serves
    clone2_supervisor_stop(watched.get());
    void *result = nullptr;
    pthread_join(thread, &result);
    CHECK(result == &shared);
    CHECK(shared.result == -ECANCELED);
}
