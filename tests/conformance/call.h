// SPDX-License-Identifier: MIT
// One call with everything around it verified: registers, stack, arguments, the child.
#ifndef CONFORMANCE_CALL_H
#define CONFORMANCE_CALL_H

#include "abi.h"
#include "arch.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    LEVELS_MAX = 33,        // MAX_PID_NS_LEVEL is 32, plus level 0
    STACK_BELOW = 64 << 10, // how much is verified at most below the caller's stack pointer
    STACK_ABOVE = 8 << 10,
    SCRATCH_SIZE = 64 << 10,
    FUNCTION_STACK_SIZE = 16 << 10, // room for handlers while a child still uses it
};

enum stack_check { STACK_NEAR, STACK_ALL, STACK_NONE };

// What the child found out about itself.
struct child_report {
    int ran;
    pid_t pid, ppid, tid;
    int nspid_count; // 0 without /proc
    int nspid[LEVELS_MAX + 1];
    long stack_damage; // offset from the stack pointer of the first changed byte
    int stack_damaged;
    int args_changed;
};

// In shared memory: parent and child both write to it, whatever the flags.
struct call {
    struct arch_call regs;
    unsigned char scratch[2][SCRATCH_SIZE] __attribute__((aligned(64)));
    unsigned char function_stack[FUNCTION_STACK_SIZE] __attribute__((aligned(64)));
    struct arguments own_args;
    pid_t own_pids[64];

    // Set these before the call; call_new() and call_reset() set defaults.
    void *args;                   // the struct; default: regs.args, laid out from own_args
    void *pids;                   // default: own_pids
    uint32_t args_size;           // default: the struct's
    uint64_t tls;                 // CLONE_SETTLS's value; 0: garbage in that register
    uint64_t sp;                  // the caller's stack pointer; default: the middle of the private
                                  // stack
    enum stack_check check;       // how much of the stack is compared
    int (*child)(struct call *c); // runs in the child on its scratch stack and returns the exit
                                  // status; raw system calls only if the child shares memory
    void *user;

    unsigned char *stack; // STACK_BELOW + STACK_ABOVE bytes of private memory
    long result;
    struct child_report child_report;
    long value[16]; // for the child function
    int go;         // for synchronisation by futex
    unsigned char args_before[ARGS_MAX];
    pid_t pids_before[64];
};

struct call *call_new(void);
void call_free(struct call *c);
// Sets defaults, then the given flags and pids (nr entries).
void call_set(struct call *c, uint64_t flags, unsigned nr, const pid_t *pids);
#define CALL_SET(c, flags, ...)                                                                    \
    call_set(c, flags, sizeof((pid_t[]){__VA_ARGS__}) / sizeof(pid_t), (pid_t[]){__VA_ARGS__})

// Puts the struct at `at`, as it is now: set everything else first.
void call_put_args(struct call *c, void *at);
// The call's registers; lays out its own struct.
struct arch_syscall call_registers(struct call *c);
// `preferred`, an address that is never readable, or another one if the system call that has our
// number today may have that as an argument.
void *call_bad_args(void *preferred);
// Makes it with libc's syscall(): -1 and errno on failure.
long call_libc(const struct arch_syscall *s);
// Whether CLONE_SETTLS and pids can be given at once; if not, nr must be 0.
unsigned call_nr_beside_tls(uint64_t flags, unsigned nr);
// Makes the call, verifies the caller's registers, stack and arguments; returns the result.
long call_run(struct call *c);
// clone(2) with the same flags, stack and addresses.
long call_run_clone(struct call *c);
// Whether this machine can return to a program with such a stack pointer.
int machine_takes(uint64_t sp);
// Verifies what the child stored. Call it after the child has ended (or has set ran).
void call_check_child(struct call *c);
// call_run() whose result must be want: -errno, a pid, or 0 for any pid.
pid_t call_expect(struct call *c, long want);
// call_expect() of success; also waits for the child, which must exit with 0, and verifies it.
pid_t call_ok(struct call *c, long want);
// Waits for the child of a successful call and verifies it.
void call_join(struct call *c, pid_t pid);
// call_expect() of a pid whose last owner was not waited for: a thread, or a child reaped by
// others. The kernel frees its number a moment after the task can no longer be found.
pid_t call_expect_soon(struct call *c, pid_t want);
// call_join(), or for a thread: waits for its end and verifies it.
void call_finish(struct call *c, pid_t pid);
// For messages about a failed call: whether a child exists anyway, and what has the pid.
const char *call_stray_text(const struct call *c);
// Describes the call, for messages.
const char *call_text(const struct call *c);

// raw.c: for code in a child that may share memory (and the C library's state) with its parent.
long raw_nspid(int *values, int max);
void raw_report(struct child_report *r);
void raw_futex_wait(int *word, int value);
void raw_futex_wake(int *word);
int child_waits_for_go(struct call *c); // a child function that ends when go != 0
int child_is_bad(struct call *c);       // a child function that must never run
void call_go(struct call *c);

#endif
