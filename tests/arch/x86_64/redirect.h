/* SPDX-License-Identifier: MIT */
#ifndef CLONE2_TEST_REDIRECT_H
#define CLONE2_TEST_REDIRECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>

/* Lets a stopped tracee make the system call before `ip` again, with this number. Returns 0, or -1
 * and errno. */
static inline long redirect(pid_t tid, uint64_t ip, long nr)
{
    enum { INSTRUCTION_SIZE = 2 };
    const size_t rax = offsetof(struct user_regs_struct, rax);
    const size_t rip = offsetof(struct user_regs_struct, rip);
    return ptrace(PTRACE_POKEUSER, tid, rax, nr) == 0 &&
                   ptrace(PTRACE_POKEUSER, tid, rip, ip - INSTRUCTION_SIZE) == 0
               ? 0
               : -1;
}

#endif
