// SPDX-License-Identifier: MIT
#include "support.hpp"

#include "abi/clone_struct.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

namespace clone2::test::api
{

namespace
{

Fd open_pidfd(pid_t pid)
{
    return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

} // namespace

long call_clone2(std::uint64_t flags, std::initializer_list<pid_t> pids, int child_status)
{
    CloneStruct args{};
    args.flags = flags;
    args.nr_pids = static_cast<std::uint32_t>(pids.size());
    const long result = syscall(CLONE2_DEFAULT_NR, &args, pids.begin());
    if (result == 0) {
        _exit(child_status);
    }
    return result < 0 ? -errno : result;
}

int reap(long pid)
{
    int status = 0;
    while (waitpid(static_cast<pid_t>(pid), &status, __WALL) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int call_many(int count)
{
    for (int i = 0; i < count; ++i) {
        const int status = i % 100;
        const long pid = call_clone2(SIGCHLD, {}, status);
        if (pid <= 0) {
            return 1;
        }
        if (reap(pid) != status) {
            return 2;
        }
    }
    return 0;
}

Target::Target(const Child::Body &body, unsigned filter_flags)
    : sockets_(make_sockets()), child_([&] {
          sockets_.ours.reset();
          unsigned flags = 0;
          const int listener = clone2_install_filter(CLONE2_DEFAULT_NR, filter_flags, &flags);
          if (listener < 0 || clone2_send_fd(sockets_.theirs.get(), listener, flags) != 0) {
              return 98;
          }
          close(listener);
          sockets_.theirs.reset();
          return body();
      }),
      pidfd_(open_pidfd(child_.pid()))
{
    sockets_.theirs.reset();
    listener_ = Fd(clone2_recv_fd(sockets_.ours.get(), &listener_flags_));
    REQUIRE(listener_);
    REQUIRE(pidfd_);
}

int Target::take_listener()
{
    return listener_.release();
}

bool Target::has_ended() const
{
    pollfd polled{pidfd_.get(), POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
}

int Target::wait()
{
    pollfd polled{pidfd_.get(), POLLIN, 0};
    while (poll(&polled, 1, -1) != 1) {
    }
    return child_.wait();
}

Watched::Watched(unsigned flags, unsigned dispatch_limit)
{
    clone2_supervisor_options options = CLONE2_SUPERVISOR_OPTIONS_INIT;
    options.flags = flags;
    options.dispatch_limit = dispatch_limit;
    options.user = this;
    options.event = [](void *user, const clone2_event *event) {
        auto &self = *static_cast<Watched *>(user);
        const clone2_request &request = *event->request;
        {
            const std::lock_guard lock(self.mutex_);
            self.events_.push_back(
                {request.cookie, request.tid, request.flags, request.nr_pids,
                 std::vector<pid_t>(request.pids, request.pids + request.pids_count), event->result,
                 event->reason != nullptr ? event->reason : "", event->reason != nullptr,
                 event->latency_us, event->time_ns, event->comm, event->level, request.uid});
        }
        if (self.on_event) {
            self.on_event(*event);
        }
    };
    options.policy = [](void *user, const clone2_request *request, char *reason) {
        auto &self = *static_cast<Watched *>(user);
        return self.on_policy ? self.on_policy(*request, reason) : 0;
    };
    options.ended = [](void *user, void *cookie, clone2_ended why) {
        auto &self = *static_cast<Watched *>(user);
        {
            const std::lock_guard lock(self.mutex_);
            self.ends_.push_back({cookie, why});
        }
        if (self.on_ended) {
            self.on_ended({cookie, why});
        }
    };
    REQUIRE(clone2_supervisor_new(&options, &supervisor_) == 0);
}

Watched::~Watched()
{
    CHECK(free() == 0);
}

int Watched::free()
{
    const int result = clone2_supervisor_free(supervisor_);
    if (result == 0) {
        supervisor_ = nullptr;
    }
    return result;
}

void Watched::add(Target &target, void *cookie)
{
    REQUIRE(clone2_supervisor_add_listener(supervisor_, target.take_listener(), cookie,
                                           target.listener_flags()) == 0);
}

void Watched::dispatch_until(const std::function<bool()> &done)
{
    pollfd polled{clone2_supervisor_fd(supervisor_), POLLIN, 0};
    while (!done()) {
        if (poll(&polled, 1, 10) == 1) {
            REQUIRE(clone2_supervisor_dispatch(supervisor_) >= 0);
        }
    }
}

int Watched::dispatch_until_end_of(Target &target)
{
    dispatch_until([&] { return target.has_ended(); });
    return target.wait();
}

std::vector<Told> Watched::events() const
{
    const std::lock_guard lock(mutex_);
    return events_;
}

std::vector<End> Watched::ends() const
{
    const std::lock_guard lock(mutex_);
    return ends_;
}

} // namespace clone2::test::api
