// SPDX-License-Identifier: MIT
// Flags: clone(2) is the reference. The call accepts what clone(2) accepts, and refuses what it
// refuses with the same error.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#define CLONE_INTO_CGROUP_BIT (1ULL << 33)

struct trial {
    uint64_t flags;
    unsigned nr_pids;
    int use_ours;
    long result;
    unsigned char *low;
    unsigned char *stack;
};

static int child_sets_go(struct call *c)
{
    c->go = 1;
    raw_futex_wake(&c->go);
    return 0;
}

// Makes one call in its own process, because some flags change the caller.
static void make_trial(void *arg)
{
    struct trial *t = arg;
    struct call *c = call_new();
    pid_t pid = 0;
    call_set(c, t->flags, call_nr_beside_tls(t->flags, t->nr_pids), &pid);
    c->own_args.parent_tid = (uint32_t)(uintptr_t)t->low;
    c->own_args.child_tid = (uint32_t)(uintptr_t)t->low + 64;
    if (t->flags & CLONE_VM) {
        c->own_args.child_stack = (uint64_t)(uintptr_t)t->stack + 4096;
    }
    c->tls = arch_tls_argument(t->stack);
    c->child = child_sets_go;
    t->result = t->use_ours ? call_run(c) : call_run_clone(c);
    if (t->result < 0) {
        return;
    }
    // Even a child that can't be waited for (CLONE_THREAD, CLONE_PARENT) must have run.
    raw_futex_wait(&c->go, 0);
    if (!(t->flags & (CLONE_THREAD | CLONE_PARENT))) {
        call_join(c, (pid_t)t->result);
    } else {
        call_check_child(c);
    }
}

static struct trial *new_trial(void)
{
    struct trial *t = (void *)low_page(1);
    t->low = low_page(1);
    t->stack = guarded_pages(2, 0);
    return t;
}

static void compare_with_clone(struct trial *t, uint64_t flags, unsigned nr_pids)
{
    long result[2];
    t->flags = flags;
    for (int i = 0; i < 2; i++) {
        t->use_ours = i;
        t->nr_pids = nr_pids;
        in_child(make_trial, t);
        result[i] = t->result;
    }
    // Children of CLONE_PARENT are ours.
    while (waitpid(-1, NULL, __WALL) > 0) {
    }
    int same = result[0] < 0 ? result[0] == result[1] : result[1] > 0;
    EXPECT(same, "flags 0x%llx, nr_pids %u: clone(2) gives %s, the call gives %s",
           (unsigned long long)flags, nr_pids, result_text(result[0]), result_text(result[1]));
}

// Every flag of the lower half except the exit signal's bits.
static void single_flags(void)
{
    struct trial *t = new_trial();
    for (int bit = 8; bit < 32; bit++) {
        for (unsigned nr = 0; nr < 2; nr++) {
            compare_with_clone(t, 1ULL << bit, nr);
            compare_with_clone(t, (1ULL << bit) | SIGCHLD, nr);
        }
    }
}

static void pair_flags(void)
{
    struct trial *t = new_trial();
    for (int a = 8; a < 32; a++) {
        for (int b = a + 1; b < 32; b++) {
            compare_with_clone(t, (1ULL << a) | (1ULL << b) | SIGCHLD, (unsigned)(a + b) & 1);
        }
    }
}

static void thread_flags(void)
{
    struct trial *t = new_trial();
    const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    for (int bit = 8; bit < 32; bit++) {
        compare_with_clone(t, thread | (1ULL << bit), 1);
        compare_with_clone(t, thread | (1ULL << bit) | SIGUSR1, 0);
        compare_with_clone(t, CLONE_VM | CLONE_VFORK | (1ULL << bit) | SIGCHLD, 1);
    }
}

static void random_flags(void)
{
    struct trial *t = new_trial();
    for (int i = 0; i < repetitions(300); i++) {
        // Few bits at a time, or nearly everything is refused.
        uint32_t flags = (uint32_t)(random_u64() & random_u64() & random_u64());
        // The kernel sets SIGCHLD to SIG_IGN for a pid 1 that ends: keep that out of our table of
        // handlers.
        if (flags & CLONE_SIGHAND) {
            flags &= ~(uint32_t)CLONE_NEWPID;
        }
        // Exit signals that don't end the caller.
        static const uint32_t harmless[] = {0, SIGCHLD, SIGURG, SIGCONT, 65, 0x80, 0xff};
        flags = (flags & ~0xffu) | harmless[random_below(7)];
        compare_with_clone(t, flags, (unsigned)i & 1);
    }
}

// SIGCHLD needs no wait option; every other exit signal needs __WALL or __WCLONE.
static volatile sig_atomic_t signal_count[65];

static void count_signal(int number)
{
    signal_count[number]++;
}

static void exit_signals(void)
{
    struct call *c = call_new();
    use_alternate_stack();
    static const int signals[] = {SIGCHLD, SIGUSR1, SIGUSR2, SIGALRM, SIGURG, 34, 64};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
        NEED(sigaction(signals[i], &action, NULL));
        for (int nr = 0; nr < 2; nr++) {
            int status;
            pid_t want = 800 + (pid_t)i;
            call_set(c, (uint64_t)signals[i], (unsigned)nr, &want);
            signal_count[signals[i]] = 0;
            pid_t pid = call_expect(c, nr ? want : 0);
            pid_t got = waitpid(pid, &status, signals[i] == SIGCHLD ? 0 : (int)__WCLONE);
            expect_long("waitpid", pid, got);
            expect_long("the child's status", 0, status);
            call_check_child(c);
            EXPECT(signal_count[signals[i]] == 1, "exit signal %d: expected 1 delivery, got %d",
                   signals[i], (int)signal_count[signals[i]]);
        }
        signal(signals[i], SIG_DFL);
    }
}

static void exit_signal_none(void)
{
    struct call *c = call_new();
    for (int number = 1; number < 65; number++) {
        signal(number, count_signal); // some can't be caught; that's fine
    }
    // 0, and numbers that are not signals: accepted, but nothing is delivered. For clone3, 0x80 is
    // CLONE_NEWTIME: the provider must not confuse them.
    static const int none[] = {0, 65, 0x7f, 0x80, 0x80 | SIGCHLD, 0xff, 0xc0};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        char before[64] = "";
        char after[64] = "";
        int status;
        pid_t want = 900 + (pid_t)i;
        NEED(readlink("/proc/self/ns/time_for_children", before, sizeof before - 1));
        call_set(c, (uint64_t)none[i], 1, &want);
        call_expect(c, want);
        expect_long("waitpid", want, waitpid(want, &status, __WALL));
        call_check_child(c);
        NEED(readlink("/proc/self/ns/time_for_children", after, sizeof after - 1));
        EXPECT(strcmp(before, after) == 0, "exit signal 0x%x changed the time namespace", none[i]);
        for (int number = 1; number < 65; number++) {
            EXPECT(signal_count[number] == 0, "exit signal 0x%x: signal %d was delivered", none[i],
                   number);
        }
    }
}

static int child_same_time_namespace(struct call *c)
{
    char own[64] = "";
    if (readlink("/proc/self/ns/time", own, sizeof own - 1) < 0) {
        return 0;
    }
    return strcmp(own, c->user) != 0;
}

static void exit_signal_0x80(void)
{
    struct call *c = call_new();
    char own[64] = "";
    if (readlink("/proc/self/ns/time", own, sizeof own - 1) < 0) {
        skip("proc: /proc/self/ns/time");
    }
    CALL_SET(c, 0x80, 333);
    c->child = child_same_time_namespace;
    c->user = own;
    call_ok(c, 333);
}

// CLONE_PARENT: the child is the caller's sibling and has the caller's exit signal, whatever the
// flags say.
static void parent_inside(void *arg)
{
    uint64_t number = *(uint64_t *)arg;
    struct call *c = call_new();
    CALL_SET(c, CLONE_PARENT | number, 345);
    call_expect(c, 345);
    expect_no_children("after CLONE_PARENT");
    // Another process waits for the child, so wait only for the child's report.
    while (!__atomic_load_n(&c->child_report.ran, __ATOMIC_SEQ_CST)) {
        sleep_us(1000);
    }
    expect_long("getppid() in the child", getppid(), c->child_report.ppid);
}

static void parent(void)
{
    static uint64_t numbers[] = {0, SIGCHLD, SIGUSR1, SIGKILL, 77, 0xff};
    signal(SIGUSR1, count_signal);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int status;
        in_child(parent_inside, &numbers[i]);
        expect_long("waitpid of the sibling", 345, waitpid(345, &status, 0));
        expect_long("the sibling's status", 0, status);
    }
    expect_long("SIGUSR1", 0, signal_count[SIGUSR1]);
}

static void detached(void)
{
    struct call *c = call_new();
    CALL_SET(c, 0x400000 | SIGCHLD, 350);
    call_ok(c, 350);
    CALL_SET(c, 0x400000 | CLONE_PIDFD | SIGCHLD, 350);
    c->own_args.parent_tid = (uint32_t)(uintptr_t)low_page(1);
    call_expect(c, -EINVAL);
}

static void upper_flags(void)
{
    struct call *c = call_new();
    for (int bit = 33; bit < 64; bit++) {
        for (unsigned nr = 0; nr < 2; nr++) {
            pid_t pid = 360;
            call_set(c, SIGCHLD | (1ULL << bit), nr, &pid);
            c->child = child_is_bad;
            call_expect(c, -EINVAL);
            c->own_args.flags |= CLONE_CLEAR_SIGHAND;
            call_expect(c, -EINVAL);
        }
    }
    // CLONE_INTO_CGROUP needs a descriptor, for which the struct has no field.
    call_set(c, SIGCHLD | CLONE_INTO_CGROUP_BIT, 0, NULL);
    call_expect(c, -EINVAL);
    expect_no_children("after EINVAL");
}

static int child_reads_handlers(struct call *c)
{
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    c->value[0] = action.sa_handler == SIG_DFL;
    sigaction(SIGUSR2, NULL, &action);
    c->value[1] = action.sa_handler == SIG_IGN;
    return 0;
}

static void clear_sighand(void)
{
    struct call *c = call_new();
    signal(SIGUSR1, count_signal);
    signal(SIGUSR2, SIG_IGN);
    for (unsigned nr = 0; nr < 2; nr++) {
        pid_t pid = 370;
        call_set(c, SIGCHLD | CLONE_CLEAR_SIGHAND, nr, &pid);
        c->child = child_reads_handlers;
        call_ok(c, nr ? pid : 0);
        EXPECT(c->value[0], "CLONE_CLEAR_SIGHAND: the child still has the handler");
        EXPECT(c->value[1], "CLONE_CLEAR_SIGHAND: an ignored signal must stay ignored");
    }
    CALL_SET(c, SIGCHLD, 371);
    c->child = child_reads_handlers;
    call_ok(c, 371);
    EXPECT(!c->value[0], "without CLONE_CLEAR_SIGHAND the child must have the handler");
    CALL_SET(c, SIGCHLD | CLONE_CLEAR_SIGHAND | CLONE_VM | CLONE_SIGHAND, 371);
    c->own_args.child_stack = c->sp;
    call_expect(c, -EINVAL);
}

// CLONE_IO, CLONE_UNTRACED, CLONE_PTRACE: no visible effect for an untraced caller, but they work.
static void quiet_flags(void)
{
    struct call *c = call_new();
    static const uint64_t quiet[] = {CLONE_IO, CLONE_UNTRACED, CLONE_PTRACE, CLONE_SYSVSEM,
                                     CLONE_IO | CLONE_UNTRACED | CLONE_PTRACE | CLONE_SYSVSEM};
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        CALL_SET(c, SIGCHLD | quiet[i], 710);
        call_ok(c, 710);
    }
}

// /proc doesn't show a tracer outside the pid namespace; asking to be traced reveals it.
static int is_traced(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM;
}

static int child_is_traced(struct call *c)
{
    (void)c;
    return is_traced();
}

static void untraced_child(void)
{
    struct call *c = call_new();
    pid_t pid = spawn();
    if (pid == 0) {
        _exit(is_traced());
    }
    if (wait_status(pid) != 0) {
        skip("untraced: the suite itself runs under a tracer");
    }
    for (int i = 0; i < 50; i++) {
        CALL_SET(c, SIGCHLD | (i & 1 ? CLONE_UNTRACED : 0), 720 + i);
        c->child = child_is_traced;
        call_ok(c, 720 + i);
    }
    EXPECT(!is_traced(), "after its calls the caller is traced");
}

const struct check flags_checks[] = {
    {"single-flags", "each flag of clone(2)", single_flags},
    {"pair-flags", "each pair of flags of clone(2)", pair_flags},
    {"thread-flags", "each flag with those of a thread and of vfork", thread_flags},
    {"random-flags", "300 random combinations", random_flags},
    {"exit-signals", "the exit signal is delivered, wait needs __WCLONE", exit_signals},
    {"exit-signal-none", "0 and values above 64: never delivered", exit_signal_none},
    {"exit-signal-0x80", "0x80 creates no time namespace", exit_signal_0x80},
    {"clone-parent", "CLONE_PARENT: a sibling, the exit signal is ignored", parent},
    {"detached", "0x400000 (CLONE_DETACHED) is ignored", detached},
    {"upper-flags", "unknown upper flags and CLONE_INTO_CGROUP: EINVAL", upper_flags},
    {"clear-sighand", "CLONE_CLEAR_SIGHAND", clear_sighand},
    {"quiet-flags", "CLONE_IO, CLONE_UNTRACED, CLONE_PTRACE", quiet_flags},
    {"untraced-child", "the child isn't traced by anyone", untraced_child},
    {0},
};
