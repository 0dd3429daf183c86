// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NEAR_BELOW = 4096, NEAR_ABOVE = 512, STACK_SIZE = STACK_BELOW + STACK_ABOVE };

static uint64_t stack_word(size_t i)
{
    return mix(i);
}

struct call *call_new(void)
{
    struct call *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | ARCH_MAP_FLAGS(options.by_function), -1, 0);
    if (c == MAP_FAILED) {
        broken("mmap: %s", strerror(errno));
    }
    c->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c->stack == MAP_FAILED) {
        broken("mmap: %s", strerror(errno));
    }
    for (size_t i = 0; i < STACK_SIZE / 8; i++) {
        uint64_t word = stack_word(i);
        memcpy(c->stack + 8 * i, &word, 8);
    }
    call_set(c, SIGCHLD, 0, NULL);
    return c;
}

void call_free(struct call *c)
{
    munmap(c->stack, STACK_SIZE);
    munmap(c, sizeof *c);
}

void call_set(struct call *c, uint64_t flags, unsigned nr, const pid_t *pids)
{
    memset(&c->own_args, 0, sizeof c->own_args);
    c->own_args.flags = flags;
    c->own_args.nr_pids = nr;
    // Reserved fields are ignored: never leave them zero.
    c->own_args.reserved1 = (uint32_t)random_u64();
    c->own_args.reserved2 = random_u64();
    c->args_size = (uint32_t)options.abi->size;
    memset(c->own_pids, 0x7f, sizeof c->own_pids);
    if (nr && nr <= sizeof c->own_pids / sizeof c->own_pids[0]) {
        memcpy(c->own_pids, pids, nr * sizeof(pid_t));
    }
    c->args = c->regs.args;
    c->pids = c->own_pids;
    c->sp = (uint64_t)(uintptr_t)(c->stack + STACK_BELOW);
    c->check = STACK_NEAR;
    c->child = NULL;
    c->user = NULL;
    c->tls = 0;
    c->go = 0;
    memset(c->value, 0, sizeof c->value);
}

// 0, or 1 and the offset from the stack pointer of the first changed byte.
static int stack_is_damaged(const struct call *c, long *where)
{
    uintptr_t start = (uintptr_t)c->stack;
    size_t sp = (size_t)(c->sp - start);
    size_t from = 0;
    size_t to = STACK_SIZE;
    if (c->check == STACK_NONE) {
        return 0;
    }
    if (c->check == STACK_NEAR) {
        if (c->sp < start + NEAR_BELOW || c->sp > start + STACK_SIZE - NEAR_ABOVE) {
            return 0; // a stack of the check's own
        }
        from = sp - NEAR_BELOW;
        to = sp + NEAR_ABOVE;
    }
    if (ARCH_IS_FUNCTION(
            options.by_function)) { // what is below belongs to the functions that were called there
        from = (sp + 7) / 8 * 8;
    }
    for (size_t i = from / 8; i < to / 8; i++) {
        uint64_t want = stack_word(i);
        uint64_t got;
        memcpy(&got, c->stack + 8 * i, 8);
        if (want != got) {
            *where = (long)(8 * i) - (long)sp;
            return 1;
        }
    }
    return 0;
}

static int args_are_changed(const struct call *c)
{
    // Addresses other than our own may be unreadable: the checks that use them compare themselves.
    return (c->args == c->regs.args && memcmp(c->args, c->args_before, ARGS_MAX) != 0) ||
           (c->pids == c->own_pids && memcmp(c->own_pids, c->pids_before, sizeof c->own_pids) != 0);
}

static int child_main(struct arch_call *regs)
{
    struct call *c = (struct call *)((char *)regs - offsetof(struct call, regs));
    struct child_report *r = &c->child_report;
    r->stack_damaged = stack_is_damaged(c, &r->stack_damage);
    r->args_changed = args_are_changed(c);
    raw_report(r);
    __atomic_store_n(&r->ran, 1, __ATOMIC_SEQ_CST);
    return c->child ? c->child(c) : 0;
}

static uintptr_t stack_top(unsigned char *scratch)
{
    return (uintptr_t)scratch + SCRATCH_SIZE - 64;
}

static struct form form_of(const struct call *c)
{
    return (struct form){.wanted = &c->own_args,
                         .args = (uintptr_t)c->args,
                         .pids = (uintptr_t)c->pids,
                         .tls = c->tls,
                         .args_size = c->args_size};
}

void call_put_args(struct call *c, void *at)
{
    const struct form form = form_of(c);
    options.abi->lay_out(&form, at);
    c->args = at;
}

struct arch_syscall call_registers(struct call *c)
{
    struct arch_syscall s = {.nr = options.nr, .sp = c->sp, .by_function = options.by_function};
    const struct form form = form_of(c);
    memset(c->regs.args, 0, ARGS_MAX);
    options.abi->lay_out(&form, c->regs.args);
    options.abi->registers(&form, &s);
    return s;
}

void *call_bad_args(void *preferred)
{
    static void *other;
    if (abi_tells_apart((uintptr_t)preferred)) {
        return preferred;
    }
    if (!other) {
        other = guarded_pages(1, 0) - ARGS_MAX;
    }
    return other;
}

long call_libc(const struct arch_syscall *s)
{
    return syscall(s->nr, (long)s->arg[0], (long)s->arg[1], (long)s->arg[2], (long)s->arg[3],
                   (long)s->arg[4], (long)s->arg[5]);
}

unsigned call_nr_beside_tls(uint64_t flags, unsigned nr)
{
    return flags & CLONE_SETTLS && !options.abi->pids_with_tls ? 0 : nr;
}

static long call_perform(struct call *c, const struct arch_syscall *s, uint64_t seed)
{
    char why[200];
    long where = 0;
    memset(&c->child_report, 0, sizeof c->child_report);
    arch_prepare(&c->regs, s, seed);
    memcpy(c->args_before, c->regs.args, ARGS_MAX);
    memcpy(c->pids_before, c->own_pids, sizeof c->own_pids);
    c->regs.out[0].scratch = stack_top(c->scratch[0]);
    c->regs.out[1].scratch = stack_top(c->scratch[1]);
    c->regs.child = child_main;
    c->result = arch_perform(&c->regs);
    if (arch_compare(&c->regs, 0, s->sp, 0, why, sizeof why) < 0) {
        fail("%s: register of the caller after result %s: %s", call_text(c), result_text(c->result),
             why);
    }
    if (stack_is_damaged(c, &where)) {
        fail("%s: the caller's stack was changed at sp%+ld after result %s", call_text(c), where,
             result_text(c->result));
    }
    if (args_are_changed(c)) {
        fail("%s: the arguments were changed after result %s", call_text(c),
             result_text(c->result));
    }
    EXPECT(c->result >= -4095 && c->result != 0, "%s: result %ld is neither an error nor a pid",
           call_text(c), c->result);
    if (c->result < 0 && __atomic_load_n(&c->child_report.ran, __ATOMIC_SEQ_CST)) {
        fail("%s: failed with %s, but a child ran", call_text(c), result_text(c->result));
    }
    return c->result;
}

// A function's child needs a stack to return on, with what the function pops from it.
static void prepare_function_stack(struct call *c, uint64_t seed)
{
    uint64_t *top = (uint64_t *)(void *)(c->function_stack + FUNCTION_STACK_SIZE - 64);
    // The stack pointer may itself be in a register that is popped.
    for (int i = 0; i < 2; i++) {
        const struct arch_syscall s = call_registers(c);
        arch_prepare(&c->regs, &s, seed);
        c->own_args.child_stack = arch_prepare_function_stack(&c->regs, top);
    }
}

long call_run(struct call *c)
{
    const uint64_t seed = random_u64();
    if (ARCH_IS_FUNCTION(options.by_function) && c->own_args.child_stack) {
        prepare_function_stack(c, seed);
    }
    const struct arch_syscall s = call_registers(c);
    return call_perform(c, &s, seed);
}

long call_run_clone(struct call *c)
{
    struct arch_syscall s = {.nr = SYS_clone, .sp = c->sp, .given = 3};
    // clone(2) takes an unsigned long: it has no use for the upper half.
    s.arg[0] = c->own_args.flags;
    s.arg[1] = c->own_args.child_stack;
    s.arg[2] = c->own_args.parent_tid;
    s.arg[ARCH_CLONE_CHILD_TID_ARG] = c->own_args.child_tid;
    s.arg[ARCH_TLS_ARG] = c->tls;
    return call_perform(c, &s, random_u64());
}

void call_check_child(struct call *c)
{
    const struct child_report *r = &c->child_report;
    char why[200];
    uint64_t flags = c->own_args.flags;
    uint64_t child_stack = arch_child_stack(c->own_args.child_stack, (int)c->regs.by_function);
    uint64_t sp = child_stack ? child_stack : c->sp;
    if (child_stack && ARCH_IS_FUNCTION(c->regs.by_function)) {
        sp = arch_sp_after_return(&c->regs, sp);
    }
    EXPECT(__atomic_load_n(&r->ran, __ATOMIC_SEQ_CST),
           "%s: child %ld ended without running after the call", call_text(c), c->result);
    expect_long("the child's result", 0, arch_result(&c->regs, 1));
    uint64_t tls = flags & CLONE_SETTLS ? arch_tls_base(c->tls) : 0;
    if (arch_compare(&c->regs, 1, sp, tls, why, sizeof why) < 0) {
        fail("%s: register of the child: %s", call_text(c), why);
    }
    EXPECT(!r->stack_damaged, "%s: the stack was changed at sp%+ld, seen in the child",
           call_text(c), r->stack_damage);
    EXPECT(!r->args_changed, "%s: the arguments were changed, seen in the child", call_text(c));
}

void call_join(struct call *c, pid_t pid)
{
    int status;
    pid_t got;
    while ((got = waitpid(pid, &status, __WALL)) < 0 && errno == EINTR) {
    }
    EXPECT(got == pid, "%s: waitpid(%d): %s", call_text(c), (int)pid, strerror(errno));
    EXPECT(!WIFSIGNALED(status), "%s: child %d was killed by signal %d", call_text(c), (int)pid,
           WTERMSIG(status));
    call_check_child(c);
    EXPECT(status == 0, "%s: child %d ended with status %d", call_text(c), (int)pid,
           WEXITSTATUS(status));
}

const char *call_stray_text(const struct call *c)
{
    static __thread char text[300];
    char path[64];
    char status[600] = "no task";
    if (c->result > 0) {
        return "";
    }
    int n = 0;
    if (c->result == -EBUSY && c->own_args.nr_pids && c->pids == c->own_pids) {
        pid_t pid = c->own_pids[c->own_args.nr_pids - 1];
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        if (read_file(path, status, sizeof status) > 0) {
            for (char *p = status; *p; p++) {
                if (*p == '\n' || *p == '\t') {
                    *p = ' ';
                }
            }
        }
        n = snprintf(text, sizeof text, " (%d: %.120s)", (int)pid, status);
    }
    sleep_us(50000);
    snprintf(text + n, sizeof text - (size_t)n, "%s",
             __atomic_load_n(&c->child_report.ran, __ATOMIC_SEQ_CST) ? ", and yet a child ran"
                                                                     : "");
    return text;
}

pid_t call_expect(struct call *c, long want)
{
    long got = call_run(c);
    if (want == 0) {
        EXPECT(got > 0, "%s: expected a pid, got %s%s", call_text(c), result_text(got),
               call_stray_text(c));
    } else {
        EXPECT(got == want, "%s: expected %s, got %s%s", call_text(c), result_text(want),
               result_text(got), call_stray_text(c));
    }
    return (pid_t)got;
}

pid_t call_ok(struct call *c, long want)
{
    pid_t pid = call_expect(c, want);
    call_join(c, pid);
    return pid;
}

pid_t call_expect_soon(struct call *c, pid_t want)
{
    // On a busy machine the exiting task may wait for a CPU meanwhile.
    for (int i = 0; i < 50000; i++) {
        long got = call_run(c);
        if (got != -EBUSY) {
            EXPECT(got == want, "%s: expected %d, got %s", call_text(c), (int)want,
                   result_text(got));
            return want;
        }
        sleep_us(200);
    }
    fail("%s: -EBUSY, but %d is long gone", call_text(c), (int)want);
}

void call_finish(struct call *c, pid_t pid)
{
    if (!(c->own_args.flags & CLONE_THREAD)) {
        call_join(c, pid);
        return;
    }
    wait_for_thread(pid);
    call_check_child(c);
}

const char *call_text(const struct call *c)
{
    static __thread char text[400];
    const struct arguments *a = &c->own_args;
    const char *name = options.abi->name;
    if (c->args != c->regs.args) {
        snprintf(text, sizeof text, "%s(args at %p, pids at %p)", name, c->args, c->pids);
        return text;
    }
    int n = snprintf(text, sizeof text, "%s({flags 0x%llx, child_stack 0x%llx, nr_pids %u", name,
                     (unsigned long long)a->flags, (unsigned long long)a->child_stack, a->nr_pids);
    if (a->parent_tid || a->child_tid) {
        n += snprintf(text + n, sizeof text - (size_t)n, ", parent_tid 0x%llx, child_tid 0x%llx",
                      (unsigned long long)a->parent_tid, (unsigned long long)a->child_tid);
    }
    if (c->pids != c->own_pids) {
        snprintf(text + n, sizeof text - (size_t)n, "}, pids at %p)", c->pids);
        return text;
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "}, {");
    for (unsigned i = 0; i < a->nr_pids && i < 64 && n < (int)sizeof text - 16; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%d", i ? "," : "", c->own_pids[i]);
    }
    snprintf(text + n, sizeof text - (size_t)n, "})");
    return text;
}
