// SPDX-License-Identifier: MIT
// cc -I../../../../shim thread.c -o thread
//
// A thread with a chosen id. C can't continue on another stack, so the call is assembly. (With
// libclone2 it need not be: clone2_call().)
#define _GNU_SOURCE
#include "clone2.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long seen;

// The thread shares its creator's thread-local storage: no errno, stdio or malloc() here.
static void run(void)
{
    long id;
    __asm__ volatile("syscall" : "=a"(id) : "a"(SYS_gettid) : "rcx", "r11", "memory");
    seen = id;
}

static long new_thread(struct clone_struct *args, pid_t *pids)
{
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t" // the creator, or an error
                     "call *%%rdx\n\t"
                     "xor %%edi, %%edi\n\t"
                     "mov %[exit], %%eax\n\t"
                     "syscall\n"
                     "1:"
                     : "=a"(result)
                     : "a"(__NR_clone2), "D"(args), "S"(pids), "d"(run), [exit] "i"(SYS_exit)
                     : "rcx", "r11", "memory");
    return result;
}

int main(int argc, char **argv)
{
    enum { STACK = 65536 };
    // The struct has 32 bits for the address at which the kernel keeps the id, and at the end a 0.
    char *stack =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (stack == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    uint32_t *id = (uint32_t *)stack;
    pid_t pid = argc > 1 ? atoi(argv[1]) : 7000;
    struct clone_struct args = {
        .flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                 CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
        .child_stack = (uint64_t)(stack + STACK),
        .nr_pids = 1,
        .parent_tid = (uint32_t)(uint64_t)id,
        .child_tid = (uint32_t)(uint64_t)id,
    };
    long thread = new_thread(&args, &pid);
    if (thread < 0) {
        fprintf(stderr, "clone2: error %ld\n", -thread);
        return 1;
    }
    for (uint32_t now; (now = __atomic_load_n(id, __ATOMIC_ACQUIRE)) != 0;) {
        syscall(SYS_futex, id, FUTEX_WAIT, now, NULL, NULL, 0);
    }
    printf("child: my pid is %ld\nparent: the child's pid was %ld\n", seen, thread);
    return 0;
}
