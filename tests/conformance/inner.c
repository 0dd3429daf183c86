// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "inner.h"
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static const char report_variable[] = "CLONE2_REPORT_FD";

static const struct inner *const tables[] = {life_inners, limits_inners, setting_inners,
                                             storms_inners, threads_inners};

void exec_inner(const char *name)
{
    char number[32];
    char text[32];
    char *const argv[] = {(char *)(uintptr_t) "clone2-conformance",
                          (char *)(uintptr_t) "-a",
                          (char *)(uintptr_t)options.abi->name,
                          (char *)(uintptr_t) "-n",
                          number,
                          (char *)(uintptr_t) "inner",
                          (char *)(uintptr_t)name,
                          NULL};
    snprintf(number, sizeof number, "%ld", options.nr);
    snprintf(text, sizeof text, "%d", report->fd);
    setenv(report_variable, text, 1);
    snprintf(text, sizeof text, "%llu", (unsigned long long)(random_u64() >> 16));
    setenv("CLONE2_SEED", text, 1);
    NEED(fcntl(report->fd, F_SETFD, 0));
    syscall(SYS_execveat, options.self, "", argv, environ, AT_EMPTY_PATH);
    broken("exec of this program: %s", strerror(errno));
}

void run_inner(const char *name)
{
    pid_t pid = spawn();
    if (pid == 0) {
        exec_inner(name);
    }
    join(pid);
}

int inner_main(const char *name)
{
    const char *fd = getenv(report_variable);
    if (strcmp(name, "nothing") == 0) {
        return 0;
    }
    if (!fd) {
        return 99;
    }
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(fd), 0);
    if (report == MAP_FAILED) {
        return 99;
    }
    fcntl(report->fd, F_SETFD, FD_CLOEXEC);
    random_seed(options.seed);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct inner *t = tables[i]; t->name; t++) {
            if (strcmp(t->name, name) == 0) {
                t->run();
                return 0;
            }
        }
    }
    broken("no inner part \"%s\"", name);
}

void basic_calls(int first)
{
    struct call *c = call_new();
    call_ok(c, 0);
    CALL_SET(c, SIGCHLD, first);
    call_ok(c, first);
    CALL_SET(c, SIGCHLD, 1);
    call_expect(c, -EBUSY);
    CALL_SET(c, SIGCHLD, -1);
    call_expect(c, -EINVAL);
    CALL_SET(c, SIGCHLD | CLONE_VM | CLONE_VFORK, first + 1);
    call_ok(c, first + 1);
    CALL_SET(c, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, first + 2);
    call_finish(c, call_expect_soon(c, first + 2));
    for (int i = 3; i < 10; i++) {
        CALL_SET(c, SIGCHLD, first + i);
        call_ok(c, first + i);
    }
    call_free(c);
}
