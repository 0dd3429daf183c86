// SPDX-License-Identifier: MIT
// clone2 from a program, x86-64: with libc's syscall() if the child gets a copy of the stack, with
// inline assembly if it shares the stack.
#pragma once

#include <clone2.h> // of libclone2, which is not linked: the structure and the number

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace pstree
{

inline constexpr long default_clone2_number = __NR_clone2;

/// Like fork(): returns twice, with 0 in the child; -1 and errno on failure.
inline long clone2(long number, clone_struct *args, pid_t *pids)
{
    return syscall(number, args, pids);
}

/// Starts a thread that sleeps forever. It shares the caller's stack and thread-local storage, so
/// it uses neither. Returns the thread's id or -errno.
inline long clone2_sleeping_thread(long number, clone_struct *args, pid_t *pids)
{
    long result = 0;
    asm volatile("syscall\n\t"
                 "test %%rax, %%rax\n\t"
                 "jnz 1f\n"
                 "0:\n\t"
                 "mov %[pause], %%eax\n\t"
                 "syscall\n\t"
                 "jmp 0b\n"
                 "1:"
                 : "=a"(result)
                 : "a"(number), "D"(args), "S"(pids), [pause] "i"(SYS_pause)
                 : "rcx", "r11", "memory", "cc");
    return result;
}

} // namespace pstree
