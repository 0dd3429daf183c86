// SPDX-License-Identifier: MIT
#include "provider.hpp"

#include "base/arch/native.h"
#include "clone2.h"
#include "raw_child.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace bench
{
namespace
{

constexpr std::size_t thread_stack_size = 65536;
constexpr std::uint64_t thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                                       CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID |
                                       CLONE_CHILD_SETTID;

std::uintptr_t address(const void *pointer)
{
    return reinterpret_cast<std::uintptr_t>(pointer);
}

bool takes_clone_args(Provider provider)
{
    return provider == Provider::native || provider == Provider::least;
}

} // namespace

bool clone2_answers(long number)
{
    // An unreadable address: every provider gives EFAULT and creates nothing.
    return raw_call(number, 8, 8) != -ENOSYS;
}

int process_round_trip(Provider provider, long number, pid_t pid)
{
    long result;
    if (takes_clone_args(provider)) {
        clone_args args{};
        args.exit_signal = SIGCHLD;
        args.set_tid = address(&pid);
        args.set_tid_size = 1;
        result = raw_call(provider == Provider::least ? number : SYS_clone3, &args, sizeof args);
    } else {
        clone_struct args{};
        args.flags = SIGCHLD;
        args.nr_pids = 1;
        if (provider == Provider::preloaded) {
            result = syscall(number, &args, &pid);
            if (result < 0) {
                return errno;
            }
        } else {
            result = raw_call(number, &args, &pid);
        }
    }
    if (result == 0) {
        _exit(0);
    }
    if (result < 0) {
        return static_cast<int>(-result);
    }
    int status = 0;
    while (waitpid(static_cast<pid_t>(result), &status, __WALL) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    // A wrong pid or a child that died would make the figures worthless.
    return result == pid && status == 0 ? 0 : EBADMSG;
}

long sleeping_process(long number)
{
    clone_struct args{};
    args.flags = SIGCHLD;
    const long result = raw_call(number, &args);
    if (result == 0) {
        for (;;) {
            pause();
        }
    }
    return result;
}

ThreadRoom::ThreadRoom()
    : memory_(mmap(nullptr, thread_stack_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0))
{
    if (memory_ == MAP_FAILED) {
        throw std::system_error(errno, std::generic_category(), "mmap");
    }
    tid_word_ = static_cast<std::uint32_t *>(memory_);
}

ThreadRoom::~ThreadRoom()
{
    munmap(memory_, thread_stack_size);
}

int ThreadRoom::round_trip(Provider provider, long number, pid_t tid)
{
    std::atomic_ref<std::uint32_t> word(*tid_word_);
    word.store(UINT_MAX);
    long result;
    if (takes_clone_args(provider)) {
        clone_args args{};
        args.flags = thread_flags;
        args.stack = address(memory_);
        args.stack_size = thread_stack_size;
        args.child_tid = address(tid_word_);
        args.set_tid = address(&tid);
        args.set_tid_size = 1;
        result =
            raw_child(provider == Provider::least ? number : SYS_clone3, &args, sizeof args, 0);
    } else {
        clone_struct args{};
        args.flags = thread_flags;
        args.child_stack = address(memory_) + thread_stack_size;
        args.child_tid = static_cast<std::uint32_t>(address(tid_word_));
        args.nr_pids = 1;
        result = raw_child(number, &args, address(&tid), 0);
    }
    if (result < 0) {
        return static_cast<int>(-result);
    }
    // CLONE_CHILD_CLEARTID: the kernel clears and wakes it when the thread has left its stack.
    for (std::uint32_t seen = word.load(); seen != 0; seen = word.load()) {
        syscall(SYS_futex, tid_word_, FUTEX_WAIT, seen, nullptr, nullptr, 0);
    }
    return result == tid ? 0 : EBADMSG;
}

} // namespace bench
