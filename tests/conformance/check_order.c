// SPDX-License-Identifier: MIT
// Two faults at once: the earlier one in the specified order is reported. A failed call changes
// nothing.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

// The faults of a call, in the order in which errors are decided.
enum fault {
    BAD_ARGS = 1,      // 1. EFAULT
    SPOILT = 2,        // 2. EINVAL
    TOO_MANY_PIDS = 4, // 3. EINVAL
    BAD_PIDS = 8,      // 4. EFAULT
    NO_PRIVILEGE = 16, // 5. EPERM
    CLONE_EINVAL = 32, // 6. a combination that clone(2) refuses
    BUSY_INNER = 64,   // 7. innermost first
    NEGATIVE_INNER = 128,
    BUSY_OUTER = 256,
    NEGATIVE_OUTER = 512,
    FAULTS = 1024,
};

static int expected_error(int faults)
{
    if (faults & BAD_ARGS) {
        return EFAULT;
    }
    if (faults & (SPOILT | TOO_MANY_PIDS)) {
        return EINVAL;
    }
    if (faults & BAD_PIDS) {
        return EFAULT;
    }
    if (faults & NO_PRIVILEGE) {
        return EPERM;
    }
    if (faults & (CLONE_EINVAL | NEGATIVE_INNER)) {
        return EINVAL;
    }
    if (faults & BUSY_INNER) {
        return EBUSY;
    }
    return faults & NEGATIVE_OUTER ? EINVAL : EBUSY;
}

static int contradicts(int faults)
{
    return (faults & BUSY_INNER && faults & NEGATIVE_INNER) ||
           (faults & BUSY_OUTER && faults & NEGATIVE_OUTER);
}

// Pids 400 (outer) and 401 (inner) are in use; the nesting level is *arg.
static void all_faults(int level, int privilege_fault)
{
    struct call *c = call_new();
    unsigned char *low = low_page(1);
    memset(low, 0x33, 64);
    for (int faults = 1; faults < FAULTS; faults++) {
        if (!(faults & NO_PRIVILEGE) != !privilege_fault || contradicts(faults)) {
            continue;
        }
        pid_t inner = faults & BUSY_INNER ? 401 : faults & NEGATIVE_INNER ? -1 : 511;
        pid_t outer = faults & BUSY_OUTER ? 400 : faults & NEGATIVE_OUTER ? -1 : 510;
        CALL_SET(c, SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, outer, inner);
        c->own_args.parent_tid = (uint32_t)(uintptr_t)low;
        c->own_args.child_tid = (uint32_t)(uintptr_t)low + 32;
        if (faults & SPOILT) {
            options.abi->spoil(&c->own_args);
        }
        if (faults & TOO_MANY_PIDS) {
            c->own_args.nr_pids = (uint32_t)level + 2 + (random_below(4) ? 0 : random_below(1000));
        }
        if (faults & CLONE_EINVAL) {
            c->own_args.flags |= random_below(2) ? CLONE_SIGHAND : CLONE_NEWNS | CLONE_FS;
        }
        if (faults & BAD_PIDS) {
            c->pids = random_below(2) ? NULL : (void *)-64L;
        }
        c->child = child_is_bad;
        if (faults & BAD_ARGS) {
            c->args = call_bad_args(random_below(2) ? (void *)8 : (void *)-4096L);
        }
        long got = call_run(c);
        EXPECT(got == -expected_error(faults),
               "args%s%s%s%s%s%s%s%s%s%s, nesting level %d: expected -%s, got %s",
               faults & BAD_ARGS ? " unreadable" : "", faults & SPOILT ? " +spoilt" : "",
               faults & TOO_MANY_PIDS ? " +nr_pids too large" : "",
               faults & BAD_PIDS ? " +pids unreadable" : "",
               faults & NO_PRIVILEGE ? " +no privilege" : "",
               faults & CLONE_EINVAL ? " +flags that clone(2) refuses" : "",
               faults & BUSY_INNER ? " +inner pid in use" : "",
               faults & NEGATIVE_INNER ? " +inner pid negative" : "",
               faults & BUSY_OUTER ? " +outer pid in use" : "",
               faults & NEGATIVE_OUTER ? " +outer pid negative" : "", level,
               errno_name(expected_error(faults)), result_text(got));
        for (int i = 0; i < 64; i++) {
            EXPECT(low[i] == 0x33, "%s: failed, but wrote to parent_tid or child_tid",
                   call_text(c));
        }
    }
}

struct order {
    int level;
    int privilege_fault;
};

static void without_privilege(void *arg)
{
    const struct order *o = arg;
    keep_capabilities(0);
    all_faults(o->level, 1);
}

static void order_inside(void *arg)
{
    struct order *o = arg;
    struct call *living = call_new();
    CALL_SET(living, SIGCHLD, 400, 401);
    living->child = child_waits_for_go;
    call_expect(living, 401);
    if (o->privilege_fault) {
        in_child(without_privilege, o);
    } else {
        all_faults(o->level, 0);
    }
    call_go(living);
    call_join(living, 401);
    expect_no_children("after all failures");
}

static void order(void)
{
    struct order o = {nesting_level() + 1, 0};
    in_nested(1, order_inside, &o);
}

static void order_unprivileged(void)
{
    struct order o = {nesting_level() + 1, 1};
    in_nested(1, order_inside, &o);
}

// EAGAIN of RLIMIT_NPROC is clone(2)'s: after EPERM, before the pids.
static void order_eagain_inside(void *arg)
{
    int privilege = *(int *)arg;
    struct call *c = call_new();
    struct rlimit none = {0, 0};
    NEED(prctl(PR_SET_KEEPCAPS, 1));
    if (setresuid(65533, 65533, 65533) < 0) {
        skip("users");
    }
    keep_capabilities(privilege ? CAPABILITY(40) : 0); // CAP_CHECKPOINT_RESTORE
    NEED(setrlimit(RLIMIT_NPROC, &none));
    call_set(c, SIGCHLD, 0, NULL);
    c->child = child_is_bad;
    expect_long("clone(2) at RLIMIT_NPROC", -EAGAIN, call_run_clone(c));
    call_expect(c, -EAGAIN);
    const pid_t pids[] = {1, -1, 600, 0};
    for (size_t i = 0; i < 4; i++) {
        CALL_SET(c, SIGCHLD, pids[i]);
        call_expect(c, privilege ? -EAGAIN : -EPERM);
        c->pids = NULL;
        call_expect(c, -EFAULT);
    }
    CALL_SET(c, SIGCHLD, 600);
    options.abi->spoil(&c->own_args);
    call_expect(c, -EINVAL);
}

static void order_eagain(void)
{
    if (!options.privileged) {
        skip("root");
    }
    for (int privilege = 0; privilege < 2; privilege++) {
        in_child(order_eagain_inside, &privilege);
    }
}

// Flags for which clone(2) itself gives EPERM, with pids in use: EPERM.
static void clone_eperm_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    keep_capabilities(CAPABILITY(40));
    static const uint64_t flags[] = {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET,
                                     CLONE_NEWPID};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        CALL_SET(c, SIGCHLD | flags[i], 1);
        c->child = child_is_bad;
        call_expect(c, -EPERM);
        CALL_SET(c, SIGCHLD | flags[i], -7);
        call_expect(c, -EPERM);
        CALL_SET(c, SIGCHLD | flags[i] | CLONE_THREAD, 1);
        call_expect(c, -EINVAL);
    }
}

static void clone_eperm(void)
{
    in_child(clone_eperm_inside, NULL);
}

static int lowest_free_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    return fd;
}

// Failures of each kind leave no descriptor of CLONE_PIDFD, no used pid and no mapping.
static void nothing_changes(void)
{
    struct call *c = call_new();
    unsigned char *low = low_page(1);
    char before[8192];
    char after[8192];
    // The provider may set itself up in the process once.
    CALL_SET(c, SIGCHLD, 500);
    call_ok(c, 500);
    CALL_SET(c, SIGCHLD, 1);
    call_expect(c, -EBUSY);
    long size = read_file("/proc/self/maps", before, sizeof before);
    int fd = lowest_free_descriptor();
    memset(low, 0x44, 4096);
    for (int i = 0; i < 100; i++) {
        static const pid_t pids[] = {1, -1, 1};
        CALL_SET(c, SIGCHLD | CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, pids[i % 3]);
        c->own_args.parent_tid = (uint32_t)(uintptr_t)low;
        c->own_args.child_tid = (uint32_t)(uintptr_t)low + 64;
        if (i % 3 == 2) {
            c->own_args.flags |= CLONE_SIGHAND;
        }
        c->check = STACK_ALL;
        call_expect(c, i % 3 ? -EINVAL : -EBUSY);
        for (int j = 0; j < 4096; j++) {
            EXPECT(low[j] == 0x44, "%s: failed, but changed memory", call_text(c));
        }
    }
    expect_long("the lowest free descriptor", fd, lowest_free_descriptor());
    if (size > 0) {
        EXPECT(read_file("/proc/self/maps", after, sizeof after) == size &&
                   memcmp(before, after, (size_t)size) == 0,
               "failed calls changed the process's mappings");
    }
    expect_no_children("after failed calls");
    // A pid that a failed call asked for in another position is free.
    CALL_SET(c, SIGCHLD, 501);
    call_ok(c, 501);
}

static void pids_stay_free_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    for (int i = 0; i < 50; i++) {
        CALL_SET(c, SIGCHLD, 1, 500 + i);
        call_expect(c, -EBUSY);
        CALL_SET(c, SIGCHLD, 500 + i, 1);
        call_expect(c, -EBUSY);
        CALL_SET(c, SIGCHLD, 500 + i, 500 + i);
        call_ok(c, 500 + i);
    }
}

static void pids_stay_free(void)
{
    in_nested(1, pids_stay_free_inside, NULL);
}

const struct check order_checks[] = {
    {"error-order", "every combination of faults, with privilege", order},
    {"error-order-unprivileged", "every combination of faults, without", order_unprivileged},
    {"error-order-eagain", "EAGAIN of RLIMIT_NPROC before the pids' errors", order_eagain},
    {"error-order-clone-eperm", "EPERM of clone(2) before the pids' errors", clone_eperm},
    {"nothing-changes", "a failed call changes no memory, descriptor, mapping", nothing_changes},
    {"pids-stay-free", "a failed call uses up no pid", pids_stay_free},
    {0},
};
