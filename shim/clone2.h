/* SPDX-License-Identifier: MIT */
/*
 * clone2(): clone() whose caller chooses the child's pid in each of its pid namespaces.
 *
 * C99 and C++; link with -lclone2. All functions are thread-safe and async-signal-safe: they do not
 * allocate memory or take locks. The only C library state they change is the caller's errno, on
 * failure.
 */
#ifndef CLONE2_H
#define CLONE2_H

#include <stdint.h>
#include <sys/types.h>

#define CLONE2_VERSION_MAJOR 1
#define CLONE2_VERSION_MINOR 0
#define CLONE2_VERSION_PATCH 0

/*
 * The system call number. It is unassigned upstream on x86-64, i386, aarch64, riscv64 and s390x.
 * For a kernel with another number, define it before including this header.
 */
#ifndef __NR_clone2
#define __NR_clone2 387
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The same 40 bytes for 32 and 64 bit programs. */
struct clone_struct {
    uint64_t flags;       /* CLONE_* as in clone(2) | exit signal in the low 8 bits; of the upper 32
                             bits only CLONE_CLEAR_SIGHAND is valid */
    uint64_t child_stack; /* the child's stack pointer (the top of its stack); 0: the parent's */
    uint32_t nr_pids;     /* entries in pids: 0 to the pid namespace's nesting level + 1 */
    uint32_t parent_tid;  /* address, below 4 GiB, for CLONE_PARENT_SETTID or CLONE_PIDFD */
    uint32_t child_tid;   /* address, below 4 GiB, for CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID */
    uint32_t reserved1;   /* ignored */
    uint64_t reserved2;   /* ignored */
};

/* Define CLONE2_ONLY_STRUCT before including this header to do without the functions. */
#ifndef CLONE2_ONLY_STRUCT

/*
 * Creates a child as fork() does. It returns twice: the child's pid in the parent, 0 in the child.
 *
 * pids[args->nr_pids - 1] is the child's pid in its own pid namespace, usually the caller's; the
 * entries before it are its pids in the ancestor namespaces, oldest first. A pid is at least 1 and
 * below pid_max of its namespace, or 0 for the next free one. With nr_pids 0, pids is not read and
 * no privilege is needed.
 *
 * On failure it returns -1 and sets errno; no child was created and no other memory was changed:
 *   EFAULT  args or pids can't be read
 *   EINVAL  unknown flags or combinations of flags (see clone(2)); more pids than nested
 *           namespaces; a pid out of range; CLONE_SETTLS (see below)
 *   EPERM   neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE over every namespace asked for
 *   EBUSY   a pid is in use
 *   ENOSYS  clone3 with set_tid (5.5) is missing or forbidden, and nothing else answers the system
 *           call
 *   EAGAIN, ENOMEM, ENOSPC, EUSERS as clone(2)
 *
 * child_stack must be 0, or point to a word that holds the address at which the child continues:
 * the child leaves this function with a return on its new stack, as it leaves libc's syscall(). Use
 * clone2_call() instead. A child that shares the caller's memory (CLONE_VM) and has child_stack 0
 * must be created with CLONE_VFORK and must follow the rules of vfork(); this function keeps
 * nothing on the stack that such a child could overwrite.
 *
 * CLONE_SETTLS takes its value from a register that a C function with two arguments can't set. Use
 * syscall(__NR_clone2, args, pids, 0L, 0L, tls), on i386 syscall(__NR_clone2, args, pids, 0L, tls),
 * with libclone2 preloaded or on a kernel with the call.
 */
long clone2(struct clone_struct *args, pid_t *pids);

/*
 * Creates a child that runs fn(arg) on another stack, as glibc's clone() does. When fn returns, the
 * child ends (only this thread, without exit handlers) with fn's value as its status.
 *
 * stack_top: the first byte beyond the child's stack; rounded down to the ABI's alignment.
 * args->child_stack is ignored. Otherwise like clone2(). Also EINVAL if fn or stack_top is NULL.
 */
pid_t clone2_call(int (*fn)(void *), void *stack_top, struct clone_struct *args, pid_t *pids,
                  void *arg);

#endif

#ifdef __cplusplus
}
#endif

#endif
