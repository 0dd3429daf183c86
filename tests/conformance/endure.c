// SPDX-License-Identifier: MIT
//
// "endure SECONDS [THREADS [returns]]": calls without pause, for drivers that end the provider in
// the meantime. A provider that is gone leaves ENOSYS behind, permanently unless it `returns`;
// anything else that is wrong is a failure. SIGTERM ends it early.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64, CALLS_AFTER_ENOSYS = 200, PATIENCE = 60 };

struct state {
    time_t end;
    long calls;
    long missing; // ENOSYS
    int stop;
    int returns; // the provider may come back after ENOSYS
    struct report report;
};

static struct state *state;

static time_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static long run(struct call *c, int i)
{
    const uint64_t thread =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    pid_t pid = 1; // always in use: -EBUSY, or -EPERM without privilege
    unsigned failing = i % 8 == 7;
    call_set(c,
             i % 8 == 2   ? SIGCHLD | CLONE_VM | CLONE_VFORK
             : i % 8 == 3 ? thread
                          : SIGCHLD,
             failing, &pid);
    // Some with a chosen number, which may be in use: this namespace isn't ours alone.
    if (i % 8 == 5) {
        pid = 20000 + (pid_t)random_below(12000);
        call_set(c, SIGCHLD, 1, &pid);
    }
    for (;;) {
        // If several threads call, a call that began earlier may end later: only calls that begin
        // after ENOSYS was seen must give ENOSYS.
        long missing_before = __atomic_load_n(&state->missing, __ATOMIC_SEQ_CST);
        long got = call_run(c);
        __atomic_add_fetch(&state->calls, 1, __ATOMIC_SEQ_CST);
        if (got == -ENOSYS) {
            if (__atomic_add_fetch(&state->missing, 1, __ATOMIC_SEQ_CST) > CALLS_AFTER_ENOSYS &&
                !state->returns) {
                __atomic_store_n(&state->stop, 1, __ATOMIC_SEQ_CST);
            }
            return got;
        }
        EXPECT(missing_before == 0 || state->returns, "%s: %s after ENOSYS had been seen",
               call_text(c), result_text(got));
        if (got == -EINTR && !options.eintr_never) {
            continue;
        }
        if (failing) {
            EXPECT(got == -EBUSY || got == -EPERM, "%s: expected -EBUSY or -EPERM, got %s",
                   call_text(c), result_text(got));
        } else if (i % 8 == 5) {
            EXPECT(got == pid || got == -EBUSY || got == -EPERM,
                   "%s: expected %d, -EBUSY or -EPERM, got %s", call_text(c), (int)pid,
                   result_text(got));
        } else {
            EXPECT(got > 0, "%s: expected a pid, got %s", call_text(c), result_text(got));
        }
        return got;
    }
}

static void *endure(void *arg)
{
    struct call *c = call_new();
    (void)arg;
    for (int i = 0; now() < state->end && !__atomic_load_n(&state->stop, __ATOMIC_SEQ_CST); i++) {
        long got = run(c, i);
        if (got > 0) {
            call_finish(c, (pid_t)got);
        }
    }
    return NULL;
}

static void endure_all(int threads)
{
    pthread_t thread[THREADS_MAX];
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&thread[i], NULL, endure, NULL) != 0) {
            broken("pthread_create");
        }
    }
    endure(NULL);
    for (int i = 1; i < threads; i++) {
        pthread_join(thread[i], NULL);
    }
    expect_no_children("at the end");
    _exit(0);
}

static void stop(int number)
{
    (void)number;
    __atomic_store_n(&state->stop, 1, __ATOMIC_SEQ_CST);
}

// The first line of a file in /proc that begins with `start`, or "-".
static void print_line(const char *path, const char *start)
{
    char line[128];
    FILE *file = fopen(path, "r");
    while (file != NULL) {
        if (fgets(line, sizeof line, file) == NULL) {
            fclose(file);
            file = NULL;
        } else if (strncmp(line, start, strlen(start)) == 0) {
            fclose(file);
            printf(" %.*s", (int)strcspn(line, "\n"), line);
            return;
        }
    }
    printf(" -");
}

// What a thread, or a whole process, that hangs is doing.
static void print_task(const char *what, const char *folder)
{
    static const char *const parts[][2] = {{"status", "Pid:"},       {"status", "State:"},
                                           {"status", "TracerPid:"}, {"status", "SigPnd:"},
                                           {"status", "ShdPnd:"},    {"wchan", ""},
                                           {"syscall", ""},          {"stack", ""}};
    printf("endure: %s", what);
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, parts[i][0]);
        print_line(path, parts[i][1]);
    }
    printf("\n");
}

// All threads of a process, and all their children.
static void print_threads(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%d/task/%.20s", (int)pid, task->d_name);
        print_task("thread", path);
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, task->d_name);
        FILE *children = fopen(path, "r");
        for (int child; children != NULL && fscanf(children, "%d", &child) == 1;) {
            snprintf(path, sizeof path, "/proc/%d", child);
            print_task("child", path);
        }
        if (children != NULL) {
            fclose(children);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
}

// Shows whether the caller was only not woken: a stop makes wait4(2) and the like look again.
static void nudge(pid_t pid)
{
    const long before = __atomic_load_n(&state->calls, __ATOMIC_SEQ_CST);
    kill(pid, SIGSTOP);
    sleep_us(100000);
    kill(pid, SIGCONT);
    sleep_us(2000000);
    const long after = __atomic_load_n(&state->calls, __ATOMIC_SEQ_CST);
    printf("endure: after SIGSTOP and SIGCONT: %ld more calls%s\n", after - before,
           waitpid(pid, NULL, WNOHANG) == pid ? ", then it ended" : "");
    print_threads(pid);
}

int endure_main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    int returns = argc > 2 && strcmp(argv[2], "returns") == 0;
    if (argc < 1 || argc > 2 + returns || threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: endure SECONDS [THREADS [returns]], at most %d threads\n",
                THREADS_MAX);
        return 99;
    }
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED) {
        return 99;
    }
    report = &state->report;
    state->returns = returns;
    random_seed(options.seed);
    state->end = now() + atoi(argv[0]);
    pid_t pid = fork();
    if (pid == 0) {
        endure_all(threads);
    }
    int status = 0;
    signal(SIGTERM, stop);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now() > state->end + PATIENCE) {
            print_threads(pid);
            nudge(pid);
            kill(pid, SIGKILL);
            printf("endure: FAIL: hang after %ld calls, %ld ENOSYS\n", state->calls,
                   state->missing);
            return 1;
        }
        sleep_us(5000);
    }
    if (state->report.claimed || status != 0) {
        printf("endure: FAIL: %s (status 0x%x) after %ld calls, %ld ENOSYS\n",
               state->report.claimed ? state->report.text : "the caller died", status, state->calls,
               state->missing);
        return 1;
    }
    printf("endure: %ld calls, %ld ENOSYS\n", state->calls, state->missing);
    return 0;
}
