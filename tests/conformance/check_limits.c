// SPDX-License-Identifier: MIT
// Tight limits, many children, big processes. Special cases must hold for a process's first call,
// too: hence the newly executed images.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "inner.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void plain_calls(struct call *c)
{
    for (int i = 0; i < 10; i++) {
        pid_t want = 2000 + i;
        call_set(c, i & 1 ? SIGCHLD | CLONE_VM | CLONE_VFORK : SIGCHLD, i > 2, &want);
        call_ok(c, i > 2 ? want : 0);
        CALL_SET(c, SIGCHLD, 1);
        call_expect(c, -EBUSY);
    }
}

static void alive(void)
{
    enum { CHILDREN = 500 };
    struct call **c = calloc(CHILDREN, sizeof(struct call *));
    if (!c) {
        broken("calloc");
    }
    for (int i = 0; i < CHILDREN; i++) {
        c[i] = call_new();
        CALL_SET(c[i], SIGCHLD, 5000 + i);
        c[i]->child = child_waits_for_go;
        call_expect(c[i], 5000 + i);
    }
    for (int i = 0; i < CHILDREN; i++) {
        EXPECT(kill(5000 + i, 0) == 0, "child %d does not exist", 5000 + i);
    }
    for (int i = 0; i < CHILDREN; i++) {
        call_go(c[i]);
    }
    for (int i = 0; i < CHILDREN; i++) {
        call_join(c[i], 5000 + i);
    }
    expect_no_children("at the end");
}

static int child_checks_big(struct call *c)
{
    const uint64_t *p = c->user;
    for (size_t i = 0; i < (size_t)c->value[0]; i += 512) {
        if (p[i] != mix(i)) {
            return 1;
        }
    }
    return 0;
}

static void big_process(void)
{
    size_t size = 200UL << 20;
    uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct call *c = call_new();
    if (p == MAP_FAILED) {
        skip("memory: 200 MiB");
    }
    for (size_t i = 0; i < size / 8; i += 512) {
        p[i] = mix(i);
    }
    for (int i = 0; i < 3; i++) {
        CALL_SET(c, SIGCHLD, 600 + i);
        c->child = child_checks_big;
        c->user = p;
        c->value[0] = (long)(size / 8);
        call_ok(c, 600 + i);
    }
    EXPECT(child_checks_big(c) == 0, "the caller's memory was changed");
}

// Thousands of mappings: no room nearby for a provider's own mapping.
static void many_mappings(void)
{
    struct call *c = call_new();
    size_t page = page_size();
    for (int i = 0; i < 2000; i++) {
        unsigned char *p =
            mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT(p != MAP_FAILED, "mmap failed");
        NEED(mprotect(p, page, PROT_NONE));
    }
    plain_calls(c);
}

static void no_descriptors_inner(void)
{
    struct call *c = call_new();
    struct rlimit limit = {3, 3};
    for (int fd = 3; fd < 64; fd++) {
        close(fd);
    }
    while (open("/dev/null", O_RDWR) >= 0 && fcntl(2, F_GETFD) < 0) {
    }
    NEED(setrlimit(RLIMIT_NOFILE, &limit));
    EXPECT(open("/dev/null", O_RDWR) < 0 && errno == EMFILE, "a descriptor is free");
    plain_calls(c);
    // CLONE_PIDFD needs one: clone(2)'s error.
    CALL_SET(c, SIGCHLD | CLONE_PIDFD, 2500);
    c->own_args.parent_tid = (uint32_t)(uintptr_t)low_page(1);
    call_expect(c, -EMFILE);
}

static void all_closed_inner(void)
{
    for (int fd = 0; fd < 256; fd++) {
        close(fd);
    }
    struct call *c = call_new();
    plain_calls(c);
    int fd = open("/", O_RDONLY);
    expect_long("the first descriptor after the calls", 0, fd);
}

static void no_address_space_inner(void)
{
    struct call *c = call_new();
    struct rlimit limit = {1 << 20, 1 << 20};
    // Less than is in use: every mmap must fail.
    NEED(setrlimit(RLIMIT_AS, &limit));
    EXPECT(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED,
           "mmap works in spite of RLIMIT_AS");
    plain_calls(c);
}

static void no_data_space_inner(void)
{
    struct call *c = call_new();
    struct rlimit none = {0, 0};
    NEED(setrlimit(RLIMIT_DATA, &none));
    plain_calls(c);
}

static void other_limits_inner(void)
{
    struct call *c = call_new();
    struct rlimit none = {0, 0};
    NEED(setrlimit(RLIMIT_FSIZE, &none));
    NEED(setrlimit(RLIMIT_CORE, &none));
    NEED(setrlimit(RLIMIT_MEMLOCK, &none));
    NEED(setrlimit(RLIMIT_STACK, &none));
    NEED(setrlimit(RLIMIT_SIGPENDING, &none));
    NEED(setrlimit(RLIMIT_MSGQUEUE, &none));
    NEED(setrlimit(RLIMIT_NOFILE, &none));
    plain_calls(c);
}

static void locked_memory_inner(void)
{
    struct call *c = call_new();
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        skip("mlockall");
    }
    plain_calls(c);
}

static void no_processes_inner(void)
{
    struct call *c = call_new();
    struct rlimit none = {0, 0};
    if (setresuid(65533, 65533, 65533) < 0) {
        skip("users");
    }
    NEED(setrlimit(RLIMIT_NPROC, &none));
    for (int i = 0; i < 10; i++) {
        call_set(c, SIGCHLD, 0, NULL);
        c->child = child_is_bad;
        call_expect(c, -EAGAIN);
    }
}

static void no_processes(void)
{
    if (!options.privileged) {
        skip("root");
    }
    run_inner("no-processes");
}

static void all_signals_blocked_inner(void)
{
    struct call *c = call_new();
    uint64_t all = ~0ULL;
    arch_raw(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)(uintptr_t)&all, 0, 8, 0, 0);
    plain_calls(c);
}

const struct inner limits_inners[] = {
    {"no-descriptors", no_descriptors_inner},
    {"all-closed", all_closed_inner},
    {"no-address-space", no_address_space_inner},
    {"no-data-space", no_data_space_inner},
    {"other-limits", other_limits_inner},
    {"locked-memory", locked_memory_inner},
    {"no-processes", no_processes_inner},
    {"all-signals-blocked", all_signals_blocked_inner},
    {0},
};

static void no_descriptors(void)
{
    run_inner("no-descriptors");
}
static void all_closed(void)
{
    run_inner("all-closed");
}
static void no_address_space(void)
{
    need_feature("no-mapping", "a provider that maps memory in the caller");
    run_inner("no-address-space");
}
static void no_data_space(void)
{
    need_feature("no-mapping", "a provider that maps memory in the caller");
    run_inner("no-data-space");
}
static void other_limits(void)
{
    run_inner("other-limits");
}
static void locked_memory(void)
{
    run_inner("locked-memory");
}
static void all_signals_blocked(void)
{
    need_feature("blocked-sigsys", "a provider by SIGSYS");
    run_inner("all-signals-blocked");
}

const struct check limits_checks[] = {
    {"children-alive", "500 children at once", alive},
    {"big-process", "a process with 200 MiB", big_process},
    {"many-mappings", "a process with 4000 mappings", many_mappings},
    {"no-descriptors", "RLIMIT_NOFILE 3, all in use", no_descriptors},
    {"all-closed", "no descriptor open, none is left open", all_closed},
    {"no-address-space", "RLIMIT_AS used up", no_address_space},
    {"no-data-space", "RLIMIT_DATA 0", no_data_space},
    {"other-limits", "all other limits 0", other_limits},
    {"locked-memory", "mlockall(MCL_FUTURE)", locked_memory},
    {"no-processes", "RLIMIT_NPROC: EAGAIN, as in clone(2)", no_processes},
    {"all-signals-blocked", "a caller that blocks all signals", all_signals_blocked},
    {0},
};
