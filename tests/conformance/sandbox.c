// SPDX-License-Identifier: MIT
//
// Every check runs in its own pid and mount namespaces:
//   suite -> runner (unshares) -> pid 1 (mounts /proc, reaps) -> pid 2: the check.
// So checks can use fixed pids, run in parallel and repeatedly, and killing pid 1 ends everything.
#define _GNU_SOURCE
#include "abi.h"
#include "harness.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int become_user_namespace_root(void)
{
    char text[64];
    unsigned uid = (unsigned)geteuid();
    unsigned gid = (unsigned)getegid();
    if (unshare(CLONE_NEWUSER) < 0) {
        return -1;
    }
    write_file("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", uid);
    if (write_file("/proc/self/uid_map", text) < 0) {
        return -1;
    }
    snprintf(text, sizeof text, "0 %u 1", gid);
    return write_file("/proc/self/gid_map", text);
}

static int unshare_all(void)
{
    if (!options.privileged && become_user_namespace_root() < 0) {
        return -1;
    }
    return unshare(CLONE_NEWPID | CLONE_NEWNS);
}

int sandbox_probe(void)
{
    for (int privileged = 1; privileged >= 0; privileged--) {
        options.privileged = privileged;
        fflush(stdout);
        pid_t pid = fork();
        if (pid < 0) {
            return -1;
        }
        if (pid == 0) {
            _exit(unshare_all() < 0);
        }
        int status;
        if (waitpid(pid, &status, 0) == pid && status == 0) {
            return 0;
        }
    }
    return -1;
}

// Everything that the check left behind must end by itself soon: an unknown child is a bug in the
// provider (or in the check).
static void expect_empty_namespace(void)
{
    for (int i = 0; i < 6000; i++) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
        if (pid < 0 && errno == ECHILD) {
            return;
        }
        if (pid == 0) {
            sleep_us(10000);
        }
    }
    int status;
    while (waitpid(-1, &status, __WALL | WNOHANG) > 0) {
    }
    fail("a stray process was left behind");
}

static __attribute__((noreturn)) void namespace_init(const struct check *check)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        broken("making mounts private: %s", strerror(errno));
    }
    // If this is refused (masked /proc in some containers), checks that need it skip.
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
        note("%s: no own /proc: %s", check->name, strerror(errno));
    }
    pid_t pid = spawn();
    if (pid == 0) {
        // In a new process group, away from the terminal's job control: a shell may run the suite.
        setpgid(0, 0);
        check->run();
        _exit(0);
    }
    for (;;) {
        int status;
        pid_t dead = waitpid(-1, &status, __WALL);
        if (dead != pid) {
            continue;
        }
        if (!report->claimed && WIFSIGNALED(status)) {
            fail("the check was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
        }
        if (!report->claimed && status != 0) {
            fail("the check ended with status %d", WEXITSTATUS(status));
        }
        break;
    }
    if (!report->claimed) {
        expect_empty_namespace();
    }
    _exit(0);
}

pid_t sandbox_start(const struct check *check, struct report *r)
{
    fflush(stdout);
    pid_t runner = fork();
    if (runner != 0) {
        return runner;
    }
    report = r;
    uint64_t hash = 0;
    for (const char *p = check->name; *p; p++) {
        hash = mix(hash ^ (uint64_t)*p);
    }
    random_seed(options.seed ^ hash);
    const char *left_out = abi_leaves_out(check->name);
    if (left_out) {
        skip("abi: %s", left_out);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (unshare_all() < 0) {
        broken("unshare: %s", strerror(errno));
    }
    pid_t init = spawn();
    if (init == 0) {
        namespace_init(check);
    }
    __atomic_store_n(&r->init, init, __ATOMIC_SEQ_CST);
    int status = wait_status(init);
    if (!r->claimed && status != 0) {
        broken("the namespace's init ended with status 0x%x", status);
    }
    _exit(0);
}
