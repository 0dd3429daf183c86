// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "nest.h"
#include "call.h"
#include "harness.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size;
};

int nesting_level(void)
{
    // Pid 1 exists in every namespace, so no list of ones can succeed. One entry too many gives
    // EINVAL before anything else is checked.
    pid_t ones[LEVELS_MAX];
    struct clone3_args a = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)ones};
    for (int i = 0; i < LEVELS_MAX; i++) {
        ones[i] = 1;
    }
    for (int n = 1; n < LEVELS_MAX; n++) {
        a.set_tid_size = (uint64_t)n;
        long result = syscall(SYS_clone3, &a, sizeof a);
        if (result == 0) {
            _exit(0);
        }
        if (result > 0) {
            broken("clone3 made a second pid 1");
        }
        if (errno == ENOSYS || errno == E2BIG) {
            skip("clone3: needed to learn the nesting level");
        }
        if (errno == EINVAL) {
            return n - 2;
        }
    }
    return LEVELS_MAX - 2; // 31 or 32
}

int levels_owned(int level)
{
    // The pid 1 asked for in the oldest of n namespaces exists: EEXIST, or EPERM if the caller has
    // no privilege there. The kernel checks the innermost (first) entry first.
    for (int n = 1; n <= level + 1 && n < LEVELS_MAX; n++) {
        pid_t pids[LEVELS_MAX];
        struct clone3_args a = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)pids};
        for (int i = 0; i < n; i++) {
            pids[i] = i == n - 1 ? 1 : 25000 + (pid_t)random_below(5000);
        }
        a.set_tid_size = (uint64_t)n;
        long result = syscall(SYS_clone3, &a, sizeof a);
        if (result == 0) {
            _exit(0);
        }
        if (result > 0) {
            broken("clone3 made a second pid 1");
        }
        if (errno == EPERM) {
            return n - 1;
        }
    }
    return level + 1;
}

static void nested_level(int depth, void (*fn)(void *), void *arg)
{
    if (depth == 0) {
        in_child(fn, arg);
        return;
    }
    NEED(unshare(CLONE_NEWPID));
    pid_t pid = spawn();
    if (pid == 0) {
        nested_level(depth - 1, fn, arg);
        // This init adopts orphaned grandchildren.
        while (waitpid(-1, NULL, __WALL) > 0) {
        }
        _exit(0);
    }
    join(pid);
}

void in_nested(int depth, void (*fn)(void *), void *arg)
{
    // unshare(CLONE_NEWPID) also redirects the caller's later children.
    pid_t pid = spawn();
    if (pid == 0) {
        nested_level(depth, fn, arg);
        _exit(0);
    }
    join(pid);
}

void need_user_namespaces(void)
{
    pid_t pid = spawn();
    if (pid == 0) {
        _exit(become_user_namespace_root() < 0);
    }
    if (wait_status(pid) != 0) {
        skip("userns");
    }
}

void in_user_namespace(void (*fn)(void *), void *arg)
{
    need_user_namespaces();
    pid_t pid = spawn();
    if (pid == 0) {
        NEED(become_user_namespace_root());
        fn(arg);
        _exit(0);
    }
    join(pid);
}

int pid_max(void)
{
    char text[32];
    if (read_file("/proc/sys/kernel/pid_max", text, sizeof text) <= 0) {
        skip("proc: /proc/sys/kernel/pid_max is not readable");
    }
    return atoi(text);
}

void keep_capabilities(uint64_t mask)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    NEED(syscall(SYS_capget, &header, data));
    uint64_t permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    if (mask & ~permitted) {
        skip("capability: 0x%llx is not permitted", (unsigned long long)(mask & ~permitted));
    }
    for (int i = 0; i < 2; i++) {
        data[i].effective = data[i].permitted = (uint32_t)(mask >> (32 * i));
        data[i].inheritable = 0;
    }
    NEED(syscall(SYS_capset, &header, data));
}

void expect_nspid(const struct call *c, int n, const int *want)
{
    const struct child_report *r = &c->child_report;
    char text[300];
    int used = 0;
    if (r->nspid_count == 0) {
        skip("proc: no NSpid");
    }
    int bad = r->nspid_count < n;
    for (int i = 0; i < n && !bad; i++) {
        int got = r->nspid[r->nspid_count - n + i];
        bad = want[i] ? got != want[i] : got <= 0;
    }
    if (!bad) {
        return;
    }
    text[0] = '\0';
    for (int i = 0; i < n && used < 270; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, " %d", want[i]);
    }
    used += snprintf(text + used, sizeof text - (size_t)used, " (0: any), got");
    for (int i = 0; i < r->nspid_count && used < 280; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, " %d", r->nspid[i]);
    }
    fail("%s: expected NSpid to end in%s", call_text(c), text);
}

size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

unsigned char *guarded_pages(size_t pages, int shared)
{
    size_t page = page_size();
    unsigned char *p = mmap(NULL, (pages + 2) * page, PROT_NONE,
                            (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS |
                                ARCH_MAP_FLAGS(options.by_function),
                            -1, 0);
    if (p == MAP_FAILED) {
        broken("mmap: %s", strerror(errno));
    }
    NEED(mprotect(p + page, pages * page, PROT_READ | PROT_WRITE));
    return p + page;
}

unsigned char *low_page(int shared)
{
    for (uintptr_t at = 0x20000000; at < 0xf0000000; at += 0x1000000) {
        void *p =
            mmap((void *)at, page_size(), PROT_READ | PROT_WRITE,
                 (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == (void *)at) {
            return p;
        }
        if (p != MAP_FAILED) {
            munmap(p, page_size());
        }
    }
    broken("no free page below 4 GiB");
}

void use_alternate_stack(void)
{
    stack_t stack = {.ss_size = 64 << 10};
    stack.ss_sp =
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED) {
        broken("mmap: %s", strerror(errno));
    }
    NEED(sigaltstack(&stack, NULL));
}

void wait_for_thread(pid_t tid)
{
    while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) {
        sleep_us(100);
    }
}
