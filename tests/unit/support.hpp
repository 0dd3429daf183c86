// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"
#include "base/fd.hpp"
#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <sys/types.h>
#include <thread>

/// Shared by the unit tests: processes that end with the test, and reports of skipped parts.

namespace clone2::test
{

/// A forked child that runs `body` and exits with its result. It is killed and reaped on
/// destruction, and killed if the test itself dies.
class Child
{
public:
    using Body = std::function<int()>;

    explicit Child(const Body &body);
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;
    ~Child();

    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Reaps it. Returns waitpid's status.
    int wait();
    /// Kills and reaps it.
    void kill_and_reap();
    /// It has been reaped elsewhere.
    void forget() { reaped_ = true; }

private:
    pid_t pid_ = -1;
    bool reaped_ = false;
};

/// Renews a Child's death signal, which a change of credentials clears.
void die_with_parent();

/// A child that does nothing until it is killed.
[[nodiscard]] std::unique_ptr<Child> make_sleeper();

/// A process that is not the test's own child, so that the test traces it without being its parent.
/// Its real parent reports how it ended.
class Grandchild
{
public:
    explicit Grandchild(const Child::Body &body);
    Grandchild(const Grandchild &) = delete;
    Grandchild &operator=(const Grandchild &) = delete;
    ~Grandchild();

    [[nodiscard]] pid_t pid() const { return pid_; }
    /// waitpid's status as its real parent received it.
    [[nodiscard]] int status();

private:
    Fd report_;
    std::unique_ptr<Child> parent_;
    pid_t pid_ = -1;
    bool ended_ = false;
};

/// A thread of this process, known by its tid, that waits until it is ended.
class OtherThread
{
public:
    OtherThread()
        : thread_([this] {
              tid_ = static_cast<pid_t>(syscall(SYS_gettid));
              tid_.notify_all();
              end_.wait(false);
          })
    {
        tid_.wait(0);
    }
    OtherThread(const OtherThread &) = delete;
    OtherThread &operator=(const OtherThread &) = delete;
    ~OtherThread() { end(); }

    [[nodiscard]] pid_t tid() const { return tid_; }
    void end()
    {
        if (thread_.joinable()) {
            end_ = true;
            end_.notify_all();
            thread_.join();
            // join() returns a moment before the kernel forgets the thread.
            while (syscall(SYS_tgkill, getpid(), tid_.load(), 0) == 0) {
                std::this_thread::yield();
            }
        }
    }

private:
    std::atomic<pid_t> tid_{0};
    std::atomic<bool> end_{false};
    std::thread thread_;
};

struct Pipe {
    Fd read;
    Fd write;
};
[[nodiscard]] Pipe make_pipe();

/// Writes one byte. False: that failed.
bool put_byte(const Fd &fd, char byte = 'x');
/// Reads one byte; -1: end of file.
[[nodiscard]] int get_byte(const Fd &fd);

/// clone2 by this number.
[[nodiscard]] inline TrappedCall call_by(int number)
{
    TrappedCall call = standard_call;
    call.number = number;
    return call;
}
[[nodiscard]] inline CallTable by(int number)
{
    return CallTable({call_by(number)});
}

/// Runs in a child: installs the filter for `calls` and sends its listener through the socket, with
/// whether signals leave a received notification alone. False: refused.
bool install_and_send(int socket, const CallTable &calls, bool prefer_wait_killable = true);
inline bool install_and_send(int socket, int number, bool prefer_wait_killable = true)
{
    return install_and_send(socket, by(number), prefer_wait_killable);
}
struct ReceivedListener {
    Fd fd; ///< empty if install_and_send() failed
    bool wait_killable = false;
};
[[nodiscard]] ReceivedListener receive_listener(int socket);

struct Sockets {
    Fd ours;
    Fd theirs;
};
[[nodiscard]] Sockets make_sockets();
/// A process that sends a listener for these calls to `sockets.ours`, and then does what `body`
/// says. Its status is 98 if it can't.
[[nodiscard]] Grandchild target_under_filter(Sockets &sockets, const CallTable &calls,
                                             bool prefer_wait_killable, const Child::Body &body);
[[nodiscard]] inline Grandchild target_under_filter(Sockets &sockets, const CallTable &calls,
                                                    const Child::Body &body)
{
    return target_under_filter(sockets, calls, true, body);
}

/// The pid of a process that no longer exists.
[[nodiscard]] pid_t dead_pid();

/// Three pages; the test sets up the middle one.
class Pages
{
public:
    Pages();
    Pages(const Pages &) = delete;
    Pages &operator=(const Pages &) = delete;
    ~Pages();

    /// mprotect(2) of one page, 0..2.
    void protect(std::size_t page, int protection) const;
    [[nodiscard]] std::byte *at(std::size_t offset) const { return base_ + offset; }
    [[nodiscard]] static std::size_t page_size();

private:
    std::byte *base_;
};

/// The address of an object in this process, which is the same in a forked child.
template <typename T>
[[nodiscard]] RemotePtr remote(const T *pointer)
{
    return RemotePtr{reinterpret_cast<std::uintptr_t>(pointer)};
}

/// The test's /proc.
[[nodiscard]] const std::shared_ptr<const Procfs> &procfs();

/// The state letter in /proc/PID/stat ("R", "S", "T", "t", "Z"); 0: no such process.
[[nodiscard]] char process_state(pid_t pid);
/// Waits until that state is one of `wanted`; alarm() is the limit.
void wait_for_state(pid_t pid, std::string_view wanted);

/// Prints on stdout what can't be tested with this kernel or sandbox.
void left_out(const std::string &what, const std::string &why);

/// The same numbers each time, so that failures are repeatable: splitmix64.
class Random
{
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next();

private:
    std::uint64_t state_;
};

} // namespace clone2::test
