// SPDX-License-Identifier: MIT
// Trap mode: bare instructions at unusual places. Runs in its own pid namespace with the library
// preloaded and CLONE2_SHIM=trap (see test_shim.py).
#include "base/arch/native.h"
#include "clone2.h"
#include "expect.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VM_VFORK 0x4100ULL
#define CLEAR_SIGHAND (1ULL << 32)

// Inlined, because a child that shares the stack can't return from a function that its parent is
// still in.
static inline __attribute__((always_inline)) long call(uint64_t flags, pid_t pid)
{
    struct clone_struct args;
    memset(&args, 0, sizeof args);
    args.flags = flags;
    args.nr_pids = 1;
    return raw_call(__NR_clone2, &args, &pid);
}

static void join(pid_t pid)
{
    int status = 0;
    EXPECT(pid, waitpid(pid, &status, 0));
    EXPECT(5 << 8, status);
}

static void call_and_join(pid_t want)
{
    const long pid = call(SIGCHLD, want);
    if (pid == 0) {
        _exit(getpid() == want ? 5 : 6);
    }
    EXPECT(want, pid);
    join(want);
    EXPECT(-EBUSY, call(SIGCHLD, 1));
}

static volatile sig_atomic_t handled;

static void handler(int number)
{
    (void)number;
    call_and_join(520 + handled);
    handled = handled + 1;
}

static void in_a_handler(void)
{
    signal(SIGUSR1, handler);
    for (int i = 0; i < 10; i++) {
        raise(SIGUSR1);
    }
    EXPECT(10, handled);
}

static void *thread_main(void *arg)
{
    const pid_t first = (pid_t)(intptr_t)arg;
    for (pid_t pid = first; pid < first + 50; pid++) {
        call_and_join(pid);
    }
    return NULL;
}

static void in_threads(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        EXPECT(0,
               pthread_create(&threads[i], NULL, thread_main, (void *)(intptr_t)(1000 + 100 * i)));
    }
    for (int i = 0; i < 4; i++) {
        EXPECT(0, pthread_join(threads[i], NULL));
    }
}

// The child of a vfork-like call makes calls itself and overwrites its parent's stack.
static __attribute__((noinline)) void busy_child(pid_t first)
{
    volatile unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0xee;
    }
    const long plain = call(SIGCHLD, first + 1);
    if (plain == 0) {
        _exit(5);
    }
    const long nested = call(SIGCHLD | VM_VFORK, first + 2);
    if (nested == 0) {
        _exit(5);
    }
    int status = 0;
    if (plain != first + 1 || waitpid((pid_t)plain, &status, 0) != plain || status != 5 << 8) {
        _exit(7);
    }
    if (nested != first + 2 || waitpid((pid_t)nested, &status, 0) != nested || status != 5 << 8) {
        _exit(8);
    }
    _exit(5);
}

static void in_a_vfork_child(void)
{
    for (pid_t first = 600; first < 650; first += 5) {
        const long pid = call(SIGCHLD | VM_VFORK, first);
        if (pid == 0) {
            busy_child(first);
        }
        EXPECT(first, pid);
        join(first);
    }
}

// More calls than there are slots: parent and child each free their half.
static void many_in_a_row(void)
{
    for (int i = 0; i < 2500; i++) {
        const long pid = call(i & 1 ? SIGCHLD : SIGCHLD | VM_VFORK, 750);
        if (pid == 0) {
            _exit(5);
        }
        EXPECT(750, pid);
        join(750);
    }
}

// The child's handlers are gone, including ours.
static void after_clear_sighand(void)
{
    const long pid = call(SIGCHLD | CLEAR_SIGHAND, 700);
    if (pid == 0) {
        struct sigaction action;
        if (sigaction(SIGUSR1, NULL, &action) != 0 || action.sa_handler != SIG_DFL) {
            _exit(9);
        }
        call_and_join(701);
        _exit(5);
    }
    EXPECT(700, pid);
    join(700);
}

int main(void)
{
    call_and_join(500);
    in_a_handler();
    in_threads();
    in_a_vfork_child();
    after_clear_sighand();
    many_in_a_row();
    return 0;
}
