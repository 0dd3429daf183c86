// SPDX-License-Identifier: MIT
//
// "clone2-chaos-exec FILE SECONDS THREADS": threads call clone2 without pause, and one of them
// executes this program again in the middle of that, over and over. FILE keeps the counters (see
// `struct progress`; the first three are clone2-call's). ENOSYS is acceptable; anything else that
// is wrong gives exit status 1 and a line on stdout.
#include "base/arch/native.h"
#include "clone2.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NR = 387, CHILD_STATUS = 42, THREADS_MAX = 32, LONGEST_LIFE_US = 30000, PAUSE_US = 1000 };

struct progress {
    uint64_t calls, other_failures, enosys, executed, end;
};

static struct progress *progress;
static char **arguments;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void sleep_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static void wrong(const char *what, long value)
{
    // One write(2): another thread may execute at this moment.
    char line[100];
    int length = snprintf(line, sizeof line, "exec: FAIL: %s %ld\n", what, value);
    ssize_t written = write(STDOUT_FILENO, line, (size_t)length);
    _exit(written < 0 ? 2 : 1);
}

static void check_status(int status)
{
    if (status != CHILD_STATUS << 8) {
        wrong("a child's wait status", status);
    }
}

static void one_call(void)
{
    struct clone_struct args = {.flags = SIGCHLD};
    long pid = raw_call(NR, &args, NULL);
    if (pid == 0) {
        _exit(CHILD_STATUS);
    }
    __atomic_add_fetch(&progress->calls, 1, __ATOMIC_RELAXED);
    if (pid == -ENOSYS) {
        __atomic_add_fetch(&progress->enosys, 1, __ATOMIC_RELAXED);
        sleep_us(PAUSE_US);
        return;
    }
    if (pid < 0) {
        wrong("a call's result", pid);
    }
    int status = 0;
    while (waitpid((pid_t)pid, &status, __WALL) < 0) {
        if (errno != EINTR) {
            wrong("waitpid: errno", errno);
        }
    }
    check_status(status);
}

static void *call(void *unused)
{
    for (;;) {
        one_call();
    }
    return unused;
}

// The others are in the middle of anything.
static void *end_or_execute(void *unused)
{
    sleep_us((long)(now_us() * 2654435761u % LONGEST_LIFE_US));
    one_call();
    if (now_us() >= progress->end) {
        _exit(0);
    }
    progress->executed++;
    execv("/proc/self/exe", arguments);
    wrong("execv: errno", errno);
    return unused;
}

static void start(void *(*body)(void *))
{
    pthread_t thread;
    int result = pthread_create(&thread, NULL, body, NULL);
    if (result != 0) {
        wrong("pthread_create:", result);
    }
}

int main(int argc, char **argv)
{
    int threads = argc == 4 ? atoi(argv[3]) : 0;
    if (threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: clone2-chaos-exec FILE SECONDS THREADS (at most %d)\n",
                THREADS_MAX);
        return 2;
    }
    arguments = argv;
    int fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, sizeof *progress) < 0) {
        return 2;
    }
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (progress == MAP_FAILED) {
        return 2;
    }
    close(fd);
    if (!progress->end) {
        progress->end = now_us() + (uint64_t)atoi(argv[2]) * 1000000;
    }
    // Children that earlier threads were waiting for.
    int status = 0;
    while (waitpid(-1, &status, __WALL) > 0) {
        check_status(status);
    }
    int by_leader = now_us() % 3 == 0;
    for (int i = 1; i < threads; i++) {
        start(call);
    }
    if (by_leader) {
        end_or_execute(NULL);
    } else {
        start(end_or_execute);
        call(NULL);
    }
}
