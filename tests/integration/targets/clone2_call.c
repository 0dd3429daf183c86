// SPDX-License-Identifier: MIT
// Calls clone2 as its options say and prints one line per call: the target of most tests. Uses raw
// system calls only around the clone, and no libc function newer than 2009, because it is also
// built with musl.
#include "base/arch/native.h"
#include "clone2.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PIDS = 64, MAX_HELD = 4096, WRONG_RESULT = 3, CLONE_NEWPID_FLAG = 0x20000000 };

struct progress {
    /* A failure changes one word, so that a kill can't leave half of it. */
    uint64_t calls, other_failures, enosys;
};

struct options {
    long nr;
    uint64_t flags;
    unsigned long repeat;
    unsigned interval_ms;
    int bad_args, hold, leave, quiet, ids;
    const char *progress_file;
    pid_t pids[MAX_PIDS];
    uint32_t nr_pids;
};

static const char usage[] =
    "usage: clone2-call [options] [PID...]\n"
    "  -n NR     system-call number (387)\n"
    "  -f FLAGS  clone flags and exit signal (17, SIGCHLD)\n"
    "  -r N      number of calls (1); 0: until killed\n"
    "  -i MS     pause between calls\n"
    "  -c COMM   take this name first\n"
    "  -o FILE   keep counters of calls, other failures and ENOSYS there (3 u64)\n"
    "  -a        pass an unreadable address\n"
    "  -H        children stay until stdin ends\n"
    "  -e        exit at once after the last call, without waiting\n"
    "  -q        print nothing per call\n"
    "  -s        handle SIGUSR1 and SIGUSR2 (SA_RESTART)\n"
    "  -u        print real and effective user id\n"
    "prints 'pid PID status WAITSTATUS' or 'errno N' per call;\n"
    "exit 0: all succeeded, 1: one failed, 3: a wrong result\n";

static void ignore(int number)
{
    (void)number;
}

static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

static struct progress *map_progress(const char *file)
{
    static struct progress unused;
    if (!file) {
        return &unused;
    }
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, sizeof unused) < 0) {
        return NULL;
    }
    void *p = mmap(NULL, sizeof unused, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

// Runs in the child: is it the process that was asked for? The answer is its exit status.
static void child(const struct options *o)
{
    pid_t wanted = o->nr_pids ? o->pids[o->nr_pids - 1] : 0;
    int wrong = !(o->flags & CLONE_NEWPID_FLAG) && wanted > 0 && syscall(SYS_getpid) != wanted;
    while (o->hold && !wrong) {
        pause();
    }
    _exit(wrong ? WRONG_RESULT : 0);
}

// Makes one call. Returns the child's pid, -errno, or 0 for a wrong result.
static long one_call(const struct options *o, int *status)
{
    struct clone_struct args = {.flags = o->flags, .nr_pids = o->nr_pids};
    args.reserved1 = 0xdeadbeef; // ignored; the proposal's own example leaves them undefined
    args.reserved2 = 0xfeedfacecafebeef;
    pid_t pids[MAX_PIDS];
    memcpy(pids, o->pids, sizeof pids);
    void *address = o->bad_args ? (void *)8 : (void *)&args;
    long result = raw_call(o->nr, address, pids);
    if (result == 0) {
        child(o);
    }
    if (memcmp(pids, o->pids, sizeof pids) != 0) {
        return 0;
    }
    if (result < 0 || o->hold || o->leave) {
        return result;
    }
    while (waitpid((pid_t)result, status, __WALL) < 0) {
        if (errno != EINTR) {
            return 0;
        }
    }
    if (*status == WRONG_RESULT << 8) {
        return 0;
    }
    return result;
}

static void end_held(const pid_t *held, size_t count)
{
    char c;
    while (read(0, &c, 1) > 0) {
    }
    for (size_t i = 0; i < count; i++) {
        kill(held[i], SIGKILL);
    }
    for (size_t i = 0; i < count; i++) {
        waitpid(held[i], NULL, __WALL);
    }
}

static int run(const struct options *o, struct progress *progress)
{
    static pid_t held[MAX_HELD];
    size_t count = 0;
    int exit_status = 0;
    for (unsigned long i = 0; (!o->repeat || i < o->repeat) && exit_status != WRONG_RESULT; i++) {
        int status = 0;
        long result = one_call(o, &status);
        progress->calls++;
        if (result == 0) {
            printf("wrong result\n");
            exit_status = WRONG_RESULT;
        } else if (result < 0) {
            *(result == -ENOSYS ? &progress->enosys : &progress->other_failures) += 1;
            exit_status = 1;
            if (!o->quiet) {
                printf("errno %ld\n", -result);
            }
        } else {
            if (o->hold && count < MAX_HELD) {
                held[count++] = (pid_t)result;
            }
            if (!o->quiet) {
                printf("pid %ld status %d\n", result, status);
            }
        }
        if (o->interval_ms) {
            struct timespec t = {o->interval_ms / 1000, (o->interval_ms % 1000) * 1000000L};
            nanosleep(&t, NULL);
        }
        if (!o->quiet) {
            fflush(stdout);
        }
    }
    if (o->hold) {
        end_held(held, count);
    }
    return exit_status;
}

int main(int argc, char **argv)
{
    struct options o = {.nr = 387, .flags = SIGCHLD, .repeat = 1};
    int option;
    while ((option = getopt(argc, argv, "n:f:r:i:c:o:aHequs")) != -1) {
        switch (option) {
        case 'n':
            o.nr = strtol(optarg, NULL, 0);
            break;
        case 'f':
            o.flags = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            o.repeat = strtoul(optarg, NULL, 0);
            break;
        case 'i':
            o.interval_ms = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'c':
            prctl(PR_SET_NAME, optarg, 0, 0, 0);
            break;
        case 'o':
            o.progress_file = optarg;
            break;
        case 'a':
            o.bad_args = 1;
            break;
        case 'H':
            o.hold = 1;
            break;
        case 'e':
            o.leave = 1;
            break;
        case 'q':
            o.quiet = 1;
            break;
        case 's':
            handle_signals();
            break;
        case 'u':
            o.ids = 1;
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (argc - optind > MAX_PIDS) {
        fputs(usage, stderr);
        return 2;
    }
    for (; optind < argc; optind++) {
        o.pids[o.nr_pids++] = (pid_t)strtol(argv[optind], NULL, 0);
    }
    struct progress *progress = map_progress(o.progress_file);
    if (!progress) {
        perror(o.progress_file);
        return 2;
    }
    if (o.ids) {
        printf("ids %d %d\n", (int)getuid(), (int)geteuid());
    }
    fflush(stdout);
    int result = run(&o, progress);
    fflush(stdout);
    if (o.leave) {
        _exit(result);
    }
    return result;
}
