// SPDX-License-Identifier: MIT
#include "support.hpp"

#include "base/fd_message.h"
#include "filter/filter.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <system_error>

namespace clone2::test
{

namespace
{

// For the children, which the test's alarm() does not reach.
constexpr unsigned child_seconds = 60;

void check(bool good, const char *operation)
{
    if (!good) {
        throw std::system_error(errno, std::generic_category(), operation);
    }
}

void pause_briefly()
{
    const timespec millisecond{0, 1000000};
    nanosleep(&millisecond, nullptr);
}

} // namespace

Child::Child(const Body &body)
{
    std::fflush(nullptr);
    Pipe ready = make_pipe();
    pid_ = fork();
    check(pid_ >= 0, "fork");
    if (pid_ == 0) {
        die_with_parent();
        put_byte(ready.write);
        ready = {};
        for (const int handled : {SIGALRM, SIGINT, SIGTERM, SIGSEGV, SIGILL, SIGFPE, SIGABRT}) {
            signal(handled, SIG_DFL); // the test framework's handlers are for the test only
        }
        alarm(child_seconds);
        int status = 99;
        try {
            status = body();
        } catch (const std::exception &error) {
            std::fprintf(stderr, "child: %s\n", error.what());
        }
        _exit(status);
    }
    // From now on this child also ends when we end.
    ready.write.reset();
    (void)get_byte(ready.read);
}

Child::~Child()
{
    kill_and_reap();
}

int Child::wait()
{
    int status = -1;
    while (!reaped_) {
        const pid_t got = waitpid(pid_, &status, 0);
        check(got == pid_ || errno == EINTR, "waitpid");
        reaped_ = got == pid_;
    }
    return status;
}

void Child::kill_and_reap()
{
    if (!reaped_) {
        kill(pid_, SIGKILL);
        while (waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
        }
        reaped_ = true;
    }
}

std::unique_ptr<Child> make_sleeper()
{
    return std::make_unique<Child>([] {
        for (;;) {
            pause();
        }
        return 0;
    });
}

Grandchild::Grandchild(const Child::Body &body)
{
    Pipe pipe = make_pipe();
    parent_ = std::make_unique<Child>([&] {
        pipe.read.reset();
        Child child([&] {
            pipe.write.reset();
            return body();
        });
        const pid_t pid = child.pid();
        const bool told = write(pipe.write.get(), &pid, sizeof pid) == sizeof pid;
        const int status = child.wait();
        return told && write(pipe.write.get(), &status, sizeof status) == sizeof status ? 0 : 1;
    });
    report_ = std::move(pipe.read);
    pipe.write.reset();
    check(read(report_.get(), &pid_, sizeof pid_) == sizeof pid_, "read");
}

Grandchild::~Grandchild()
{
    if (!ended_) { // let its parent reap it, so that it does not become an orphan
        kill(pid_, SIGKILL);
        (void)get_byte(report_);
    }
}

int Grandchild::status()
{
    int status = -1;
    check(read(report_.get(), &status, sizeof status) == sizeof status, "read");
    ended_ = true;
    return status;
}

void die_with_parent()
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

Pipe make_pipe()
{
    std::array<int, 2> ends{};
    check(pipe2(ends.data(), O_CLOEXEC) == 0, "pipe2");
    return Pipe{Fd{ends[0]}, Fd{ends[1]}};
}

bool put_byte(const Fd &fd, char byte)
{
    return write(fd.get(), &byte, 1) == 1;
}

int get_byte(const Fd &fd)
{
    unsigned char byte = 0;
    ssize_t got = 0;
    do {
        got = read(fd.get(), &byte, 1);
    } while (got < 0 && errno == EINTR);
    return got == 1 ? byte : -1;
}

bool install_and_send(int socket, const CallTable &calls, bool prefer_wait_killable)
{
    InstalledFilter installed;
    if (const auto result = install_filter(build_filter(calls), prefer_wait_killable)) {
        installed = *result;
    }
    const char wait_killable = installed.wait_killable ? 1 : 0;
    const Fd listener{installed.listener};
    return send_with_fds(socket, &wait_killable, 1, &installed.listener, listener ? 1 : 0, 0) ==
               1 &&
           listener;
}

ReceivedListener receive_listener(int socket)
{
    char wait_killable = 0;
    int fd = -1;
    if (receive_with_fds(socket, &wait_killable, 1, &fd, 1, 0).size != 1 || fd < 0) {
        return {};
    }
    return {Fd{fd}, wait_killable != 0};
}

Sockets make_sockets()
{
    std::array<int, 2> ends{};
    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0, "socketpair");
    return Sockets{Fd{ends[0]}, Fd{ends[1]}};
}

Grandchild target_under_filter(Sockets &sockets, const CallTable &calls, bool prefer_wait_killable,
                               const Child::Body &body)
{
    return Grandchild([&] {
        sockets.ours.reset();
        return install_and_send(sockets.theirs.get(), calls, prefer_wait_killable) ? body() : 98;
    });
}

pid_t dead_pid()
{
    Child child([] { return 0; });
    child.wait();
    return child.pid();
}

Pages::Pages()
    : base_(static_cast<std::byte *>(mmap(nullptr, 3 * page_size(), PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
{
    check(static_cast<void *>(base_) != MAP_FAILED, "mmap");
    std::memset(base_, 0x5a, 3 * page_size());
}

Pages::~Pages()
{
    munmap(base_, 3 * page_size());
}

void Pages::protect(std::size_t page, int protection) const
{
    check(mprotect(base_ + page * page_size(), page_size(), protection) == 0, "mprotect");
}

std::size_t Pages::page_size()
{
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

const std::shared_ptr<const Procfs> &procfs()
{
    static const std::shared_ptr<const Procfs> one = std::make_shared<const Procfs>();
    return one;
}

char process_state(pid_t pid)
{
    std::array<char, 512> text{};
    FILE *const file = std::fopen(("/proc/" + std::to_string(pid) + "/stat").c_str(), "re");
    if (file == nullptr) {
        return 0;
    }
    const std::size_t size = std::fread(text.data(), 1, text.size(), file);
    std::fclose(file);
    const std::string_view line(text.data(), size);
    const std::size_t end = line.rfind(')');
    return end != std::string_view::npos && end + 2 < size ? line[end + 2] : '\0';
}

void wait_for_state(pid_t pid, std::string_view wanted)
{
    while (wanted.find(process_state(pid)) == std::string_view::npos) {
        pause_briefly();
    }
}

void left_out(const std::string &what, const std::string &why)
{
    std::printf("LEFT OUT: %s: %s\n", what.c_str(), why.c_str());
    std::fflush(stdout);
}

std::uint64_t Random::next()
{
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}

} // namespace clone2::test
