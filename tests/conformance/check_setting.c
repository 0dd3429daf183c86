// SPDX-License-Identifier: MIT
// Which callers may choose pids, and unusual callers: other roots, other users, no /proc.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "inner.h"
#include "nest.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

static void with_capabilities(uint64_t mask, int allowed)
{
    struct call *c = call_new();
    keep_capabilities(mask);
    call_ok(c, 0);
    static const pid_t lists[] = {0, 500, 1, -1};
    static const int errors[] = {0, 500, -EBUSY, -EINVAL};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 4; i++) {
            CALL_SET(c, SIGCHLD, lists[i]);
            if (!allowed) {
                call_expect(c, -EPERM);
            } else if (errors[i] < 0) {
                call_expect(c, errors[i]);
            } else {
                call_ok(c, errors[i]);
            }
        }
    }
}

static void no_capability_inside(void *arg)
{
    (void)arg;
    with_capabilities(0, 0);
}

static void no_capability(void)
{
    in_child(no_capability_inside, NULL);
}

static void wrong_capabilities_inside(void *arg)
{
    (void)arg;
    with_capabilities(CAPABILITY(CAP_SYS_PTRACE) | CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_KILL) |
                          CAPABILITY(CAP_DAC_OVERRIDE),
                      0);
}

static void wrong_capabilities(void)
{
    in_child(wrong_capabilities_inside, NULL);
}

static void only_checkpoint_restore_inside(void *arg)
{
    (void)arg;
    with_capabilities(CAPABILITY(CAP_CHECKPOINT_RESTORE), 1);
}

static void only_checkpoint_restore(void)
{
    in_child(only_checkpoint_restore_inside, NULL);
}

static void only_sys_admin_inside(void *arg)
{
    (void)arg;
    with_capabilities(CAPABILITY(CAP_SYS_ADMIN), 1);
}

static void only_sys_admin(void)
{
    in_child(only_sys_admin_inside, NULL);
}

// A capability must be effective; permitted is not enough.
static void not_effective_inside(void *arg)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    struct call *c = call_new();
    (void)arg;
    NEED(syscall(SYS_capget, &header, data));
    struct __user_cap_data_struct none[2] = {{0, data[0].permitted, 0}, {0, data[1].permitted, 0}};
    for (int i = 0; i < 3; i++) {
        NEED(syscall(SYS_capset, &header, none));
        CALL_SET(c, SIGCHLD, 500);
        call_expect(c, -EPERM);
        CALL_SET(c, SIGCHLD, 0);
        call_expect(c, -EPERM);
        NEED(syscall(SYS_capset, &header, data));
        CALL_SET(c, SIGCHLD, 500);
        call_ok(c, 500);
    }
}

static void not_effective(void)
{
    in_child(not_effective_inside, NULL);
}

// Root of a nested user namespace: others own the older pid namespaces.
static void foreign_levels_inside(void *arg)
{
    struct call *c = call_new();
    (void)arg;
    CALL_SET(c, SIGCHLD, 50);
    call_ok(c, 50);
    CALL_SET(c, SIGCHLD, 0);
    call_ok(c, 0);
    static const pid_t lists[][2] = {{0, 0}, {0, 50}, {500, 0}, {500, 50}, {1, 1}, {-1, -1}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        call_set(c, SIGCHLD, 2, lists[i]);
        call_expect(c, -EPERM);
    }
    call_set(c, SIGCHLD, 0, NULL);
    call_ok(c, 0);
}

static void foreign_user_namespace(void *arg)
{
    struct call *c = call_new();
    // In the user namespace, but still in the parent's pid namespace.
    CALL_SET(c, SIGCHLD, 500);
    call_expect(c, -EPERM);
    CALL_SET(c, SIGCHLD, 0);
    call_expect(c, -EPERM);
    call_set(c, SIGCHLD, 0, NULL);
    call_ok(c, 0);
    in_nested(1, foreign_levels_inside, arg);
}

static void foreign_levels(void)
{
    in_user_namespace(foreign_user_namespace, NULL);
}

// Two levels that its own user namespace owns, then foreign ones.
static void two_own_levels_inside(void *arg)
{
    struct call *c = call_new();
    (void)arg;
    CALL_SET(c, SIGCHLD, 60, 50);
    call_ok(c, 50);
    EXPECT_NSPID(c, 60, 50);
    CALL_SET(c, SIGCHLD, 60, 0);
    call_ok(c, 0);
    CALL_SET(c, SIGCHLD, 0, 60, 50);
    call_expect(c, -EPERM);
    CALL_SET(c, SIGCHLD, 0, 0, 0);
    call_expect(c, -EPERM);
}

static void two_own_levels_user(void *arg)
{
    in_nested(2, two_own_levels_inside, arg);
}

static void two_own_levels(void)
{
    in_user_namespace(two_own_levels_user, NULL);
}

// CLONE_NEWUSER: the caller's rights decide, not the child's future ones.
static void new_user_namespace_inside(void *arg)
{
    struct call *c = call_new();
    (void)arg;
    keep_capabilities(0);
    CALL_SET(c, SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID, 500);
    call_expect(c, -EPERM);
    call_set(c, SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID, 0, NULL);
    call_ok(c, 0);
    expect_long("getpid() in the child", 1, c->child_report.pid);
}

static void new_user_namespace(void)
{
    struct call *c = call_new();
    need_user_namespaces();
    CALL_SET(c, SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID, 500);
    call_ok(c, 500);
    EXPECT_NSPID(c, 500, 1);
    in_child(new_user_namespace_inside, NULL);
}

static void other_user_inner(void)
{
    struct call *c = call_new();
    if (setgroups(0, NULL) < 0 || setresgid(65533, 65533, 65533) < 0) {
        skip("users"); // a user namespace with one user
    }
    NEED(setresuid(65533, 65533, 65533));
    for (int i = 0; i < 5; i++) {
        call_set(c, SIGCHLD, 0, NULL);
        call_ok(c, 0);
        CALL_SET(c, SIGCHLD, 500);
        call_expect(c, -EPERM);
        CALL_SET(c, SIGCHLD, 0);
        call_expect(c, -EPERM);
    }
}

static void other_user(void)
{
    if (!options.privileged) {
        skip("root");
    }
    run_inner("other-user");
}

static void not_dumpable_inner(void)
{
    NEED(prctl(PR_SET_DUMPABLE, 0));
    basic_calls(2000);
    expect_long("PR_GET_DUMPABLE", 0, prctl(PR_GET_DUMPABLE));
}

static void not_dumpable_probe(void *arg)
{
    struct call *c = call_new();
    (void)arg;
    NEED(prctl(PR_SET_DUMPABLE, 0));
    if (call_run(c) == -EPERM) {
        skip("rootless-nondumpable: the provider may not look into such a process");
    }
}

static void not_dumpable(void)
{
    if (!options.privileged) {
        in_child(not_dumpable_probe, NULL);
    }
    basic_calls(2100);
    run_inner("not-dumpable");
    NEED(prctl(PR_SET_DUMPABLE, 0));
    basic_calls(2100);
}

static void changed_root_inner(void)
{
    NEED(unshare(CLONE_NEWNS));
    NEED(mount("none", "/proc", "tmpfs", 0, NULL));
    NEED(chroot("/proc"));
    NEED(chdir("/"));
    basic_calls(2000);
}

static void changed_root(void)
{
    run_inner("changed-root");
}

static void without_proc_inner(void)
{
    NEED(unshare(CLONE_NEWNS));
    NEED(mount("none", "/proc", "tmpfs", 0, NULL));
    basic_calls(2000);
}

static void without_proc(void)
{
    run_inner("without-proc");
}

static void personalities(void)
{
    static const unsigned long values[] = {ADDR_NO_RANDOMIZE, ADDR_COMPAT_LAYOUT, READ_IMPLIES_EXEC,
                                           ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        pid_t pid = spawn();
        if (pid == 0) {
            NEED(personality(values[i]));
            exec_inner("setting-basic");
        }
        join(pid);
    }
}

static void no_new_privileges(void)
{
    NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    basic_calls(2100);
    run_inner("setting-basic");
}

static void setting_basic(void)
{
    basic_calls(2000);
}

static void new_namespaces(void)
{
    struct call *c = call_new();
    NEED(unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET));
    basic_calls(2100);
    run_inner("setting-basic");
    CALL_SET(c, SIGCHLD, 500);
    call_ok(c, 500);
}

const struct inner setting_inners[] = {
    {"setting-basic", setting_basic},     {"other-user", other_user_inner},
    {"not-dumpable", not_dumpable_inner}, {"changed-root", changed_root_inner},
    {"without-proc", without_proc_inner}, {0},
};

const struct check setting_checks[] = {
    {"no-capability", "nr_pids > 0 without capability: EPERM", no_capability},
    {"wrong-capabilities", "other capabilities: EPERM", wrong_capabilities},
    {"only-checkpoint-restore", "CAP_CHECKPOINT_RESTORE is enough", only_checkpoint_restore},
    {"only-sys-admin", "CAP_SYS_ADMIN is enough", only_sys_admin},
    {"not-effective", "permitted but not effective capabilities", not_effective},
    {"foreign-levels", "entries for namespaces of other owners: EPERM", foreign_levels},
    {"two-own-levels", "a user namespace that owns two levels", two_own_levels},
    {"new-user-namespace", "CLONE_NEWUSER: the caller's rights decide", new_user_namespace},
    {"other-user", "an ordinary user: nr_pids 0 works, more is EPERM", other_user},
    {"not-dumpable", "PR_SET_DUMPABLE 0", not_dumpable},
    {"changed-root", "in a chroot", changed_root},
    {"without-proc", "without /proc", without_proc},
    {"personality", "other personalities", personalities},
    {"no-new-privs", "PR_SET_NO_NEW_PRIVS", no_new_privileges},
    {"other-namespaces", "after unshare of mount, uts, ipc, net", new_namespaces},
    {0},
};
