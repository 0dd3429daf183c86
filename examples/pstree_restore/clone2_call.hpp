// SPDX-License-Identifier: MIT
// clone2 from a program, x86-64: by libc's syscall() where the child goes on with a copy of the
// stack, by hand where it gets a stack of its own.
#pragma once

#include <cstdint>
#include <sys/types.h>
#include <unistd.h>

namespace pstree
{

inline constexpr long default_clone2_number = 387;

struct clone_struct {
    std::uint64_t flags;
    std::uint64_t child_stack;
    std::uint32_t nr_pids;
    std::uint32_t parent_tid;
    std::uint32_t child_tid;
    std::uint32_t reserved1;
    std::uint64_t reserved2;
};
static_assert(sizeof(clone_struct) == 40);

/// As fork(): twice back, in the child with 0; -1 and errno on failure.
inline long clone2(long number, clone_struct *args, pid_t *pids)
{
    return syscall(number, args, pids);
}

/// For code in threads that have no thread-local storage of their own: leaves errno alone.
inline long bare_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0)
{
    long result = 0;
    register long r10 asm("r10") = d;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                 : "rcx", "r11", "memory");
    return result;
}

/// Starts a thread that calls run(argument), which must not return, on the stack that ends at
/// `top`, a multiple of 16. Returns the thread's id or -errno.
inline long clone2_thread(long number, clone_struct *args, pid_t *pids, void *top,
                          void (*run)(void *), void *argument)
{
    auto *stack = static_cast<std::uint64_t *>(top);
    *--stack = reinterpret_cast<std::uint64_t>(argument);
    *--stack = reinterpret_cast<std::uint64_t>(run);
    args->child_stack = reinterpret_cast<std::uint64_t>(stack);
    long result = 0;
    asm volatile("syscall\n\t"
                 "test %%rax, %%rax\n\t"
                 "jnz 1f\n\t"
                 "xor %%ebp, %%ebp\n\t" // the end of the chain of frames
                 "pop %%rax\n\t"
                 "pop %%rdi\n\t"
                 "call *%%rax\n\t"
                 "hlt\n"
                 "1:"
                 : "=a"(result)
                 : "a"(number), "D"(args), "S"(pids)
                 : "rcx", "r11", "memory", "cc");
    return result;
}

} // namespace pstree
