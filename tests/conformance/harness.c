// SPDX-License-Identifier: MIT
#include "harness.h"
#include "arch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options options;
struct report *report;

static uint64_t random_state;

static __attribute__((noreturn)) void finish(enum outcome outcome, const char *format, va_list ap)
{
    if (!__atomic_exchange_n(&report->claimed, 1, __ATOMIC_SEQ_CST)) {
        vsnprintf(report->text, sizeof report->text, format, ap);
        __atomic_store_n(&report->outcome, (int)outcome, __ATOMIC_SEQ_CST);
    }
    _exit(1);
}

void fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    finish(OUTCOME_FAIL, format, ap);
}

void skip(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    finish(OUTCOME_SKIP, format, ap);
}

void broken(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    finish(OUTCOME_BROKEN, format, ap);
}

void note(const char *format, ...)
{
    if (!options.verbose) {
        return;
    }
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "  ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
}

int feature_is_absent(const char *feature)
{
    const char *list = getenv("CLONE2_ABSENT");
    size_t length = strcspn(feature, ":");
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n == length && strncmp(list, feature, n) == 0) {
            return 1;
        }
        list += n + (list[n] == ',');
    }
    return 0;
}

void need_feature(const char *feature, const char *why)
{
    if (feature_is_absent(feature)) {
        skip("%s: %s", feature, why);
    }
}

int repetitions(int all)
{
    return (all * options.percent + 99) / 100;
}

void need_bare_instruction(void)
{
    if (ARCH_IS_FUNCTION(options.by_function)) {
        skip("bare-instruction: a function needs its own stack");
    }
}

long need(long value, const char *call, const char *file, int line)
{
    if (value == -1) {
        broken("%s:%d: %s: %s", file, line, call, strerror(errno));
    }
    return value;
}

const char *errno_name(int error)
{
    static const struct {
        int value;
        const char *name;
    } names[] = {{EPERM, "EPERM"},   {ESRCH, "ESRCH"},   {EINTR, "EINTR"},   {EAGAIN, "EAGAIN"},
                 {ENOMEM, "ENOMEM"}, {EFAULT, "EFAULT"}, {EBUSY, "EBUSY"},   {EEXIST, "EEXIST"},
                 {EINVAL, "EINVAL"}, {ENOSPC, "ENOSPC"}, {ENOSYS, "ENOSYS"}, {EUSERS, "EUSERS"},
                 {EBADF, "EBADF"},   {EMFILE, "EMFILE"}, {EIO, "EIO"},       {EACCES, "EACCES"},
                 {ENOTTY, "ENOTTY"}};
    static __thread char other[16];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].value == error) {
            return names[i].name;
        }
    }
    snprintf(other, sizeof other, "errno %d", error);
    return other;
}

const char *result_text(long result)
{
    static __thread char buffer[4][32];
    static __thread unsigned next;
    char *text = buffer[next++ % 4];
    if (result < 0 && result >= -4095) {
        snprintf(text, 32, "-%s", errno_name((int)-result));
    } else {
        snprintf(text, 32, "%ld", result);
    }
    return text;
}

void expect_long(const char *what, long want, long got)
{
    EXPECT(want == got, "%s: expected %s, got %s", what, result_text(want), result_text(got));
}

pid_t spawn(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        broken("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        random_seed(random_u64() ^ (uint64_t)getpid());
    }
    return pid;
}

int wait_status(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, __WALL) < 0) {
        if (errno != EINTR) {
            fail("waitpid(%d): %s", (int)pid, strerror(errno));
        }
    }
    return status;
}

void join(pid_t pid)
{
    int status = wait_status(pid);
    if (__atomic_load_n(&report->claimed, __ATOMIC_SEQ_CST)) {
        _exit(1);
    }
    if (WIFSIGNALED(status)) {
        fail("process %d was killed by signal %d (%s)", (int)pid, WTERMSIG(status),
             strsignal(WTERMSIG(status)));
    }
    EXPECT(status == 0, "process %d ended with status %d", (int)pid, WEXITSTATUS(status));
}

void in_child(void (*fn)(void *), void *arg)
{
    pid_t pid = spawn();
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    join(pid);
}

void expect_no_children(const char *when)
{
    int status;
    pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
    EXPECT(pid < 0 && errno == ECHILD, "%s: expected no child, waitpid returned %d", when,
           (int)pid);
}

uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

uint64_t random_u64(void)
{
    return mix(__atomic_add_fetch(&random_state, 0x9e3779b97f4a7c15ULL, __ATOMIC_RELAXED));
}

uint32_t random_below(uint32_t n)
{
    return (uint32_t)((random_u64() >> 32) * n >> 32);
}

void random_seed(uint64_t seed)
{
    random_state = mix(seed);
}

void sleep_us(unsigned us)
{
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {
    }
}

long read_file(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, buffer, size - 1);
    close(fd);
    if (n >= 0) {
        buffer[n] = '\0';
    }
    return n;
}

int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, text, strlen(text));
    int saved = errno;
    close(fd);
    errno = saved;
    return n == (ssize_t)strlen(text) ? 0 : -1;
}
