// SPDX-License-Identifier: MIT
// clone2-differential [-n NR] [-s SEED] [-c CALLS]: makes random calls and prints the result of
// each, one per line.
//
// The same seed makes the same calls, so the lines of two providers can be compared: a difference
// is a bug in one of them. Pids chosen by the kernel or the provider are shown as *. The calls are
// made in batches, each in a new process tree: nested pid namespaces, with or without privilege,
// with or without an unshared namespace for the children. Needs root.
#define _GNU_SOURCE
#include "clone2.h"
#include "raw_child.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 50, MAX_DEPTH = 4, MAX_PIDS = 40, MAX_ZOMBIES = 8, PAGE = 4096 };

static long number = __NR_clone2;

// Each batch has its own random sequence, so that a batch that goes wrong spoils no other.
static uint64_t state;

static uint32_t random_word(void)
{
    state += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (uint32_t)((z ^ (z >> 31)) >> 16);
}

static unsigned below(unsigned limit)
{
    return random_word() % limit;
}

static int one_in(unsigned n)
{
    return below(n) == 0;
}

static void die(const char *what)
{
    fprintf(stderr, "clone2-differential: %s: %s\n", what, strerror(errno));
    _exit(99);
}

struct batch {
    unsigned index;
    unsigned depth; // nested pid namespaces below the program's own
    int unprivileged;
    int unshared; // an unshared pid namespace for the children, without an init yet
    int userns;   // the innermost namespace is owned by its own user namespace
    pid_t zombies[MAX_ZOMBIES];
    unsigned zombie_count;
    unsigned char *low;  // memory below 4 GiB, for the 32-bit addresses
    unsigned char *edge; // a readable page followed by an unreadable one
};

struct call {
    struct clone_struct args;
    pid_t pids[MAX_PIDS];
    const void *args_at;
    const void *pids_at;
    const char *args_kind;
    const char *pids_kind;
    unsigned long tls;
};

static uint64_t random_flags(void)
{
    static const uint64_t common[] = {CLONE_VM,
                                      CLONE_FS,
                                      CLONE_FILES,
                                      CLONE_SIGHAND,
                                      CLONE_PARENT,
                                      CLONE_SYSVSEM,
                                      CLONE_SETTLS,
                                      CLONE_PARENT_SETTID,
                                      CLONE_CHILD_CLEARTID,
                                      CLONE_CHILD_SETTID,
                                      CLONE_PIDFD,
                                      CLONE_UNTRACED,
                                      CLONE_PTRACE,
                                      CLONE_IO,
                                      0x00400000};
    static const uint64_t rare[] = {CLONE_NEWNS,  CLONE_NEWUTS,    CLONE_NEWIPC, CLONE_NEWUSER,
                                    CLONE_NEWPID, CLONE_NEWCGROUP, 1ULL << 32,   1ULL << 33,
                                    1ULL << 34,   1ULL << 63};
    static const unsigned signals[] = {SIGCHLD, SIGCHLD, SIGCHLD, SIGCHLD, 0, SIGUSR1, 64, 65, 255};
    uint64_t flags = signals[below(sizeof signals / sizeof *signals)];
    if (one_in(4)) {
        return SIGCHLD;
    }
    if (one_in(6)) {
        flags |= CLONE_VM | CLONE_VFORK;
    }
    if (one_in(6)) {
        flags |= CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    } else if (one_in(20)) {
        flags |= CLONE_THREAD;
    }
    for (unsigned i = 0; i < sizeof common / sizeof *common; i++) {
        if (one_in(8)) {
            flags |= common[i];
        }
    }
    for (unsigned i = 0; i < sizeof rare / sizeof *rare; i++) {
        if (one_in(25)) {
            flags |= rare[i];
        }
    }
    return flags;
}

static pid_t random_pid(const struct batch *b)
{
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
        return 0;
    case 3:
        return 1; // in use, unless there is no init yet
    case 4:
        return -1 - (pid_t)below(1000000);
    case 5:
        return (pid_t)(4194304 + below(3) - 1); // around the highest possible pid_max
    case 6:
        return INT32_MAX;
    case 7:
        if (b->zombie_count > 0) {
            return b->zombies[below(b->zombie_count)];
        }
        return getpid();
    case 8:
        return getpid();
    default:
        // Above the pids chosen for a 0 in a new namespace, so that they never collide.
        return (pid_t)(5000 + below(20000));
    }
}

static uint32_t random_address(const struct batch *b)
{
    switch (below(6)) {
    case 0:
        return 0;
    case 1:
        return 0xfffffffc;
    case 2:
        return (uint32_t)(uintptr_t)b->low + 1 + below(64);
    default:
        return (uint32_t)(uintptr_t)b->low + 4 * below(64);
    }
}

static void random_call(const struct batch *b, struct call *c)
{
    memset(c, 0, sizeof *c);
    c->args.flags = random_flags();
    if (one_in(4)) {
        c->args.child_stack = (uint64_t)(uintptr_t)b->low + 16 * below(256);
    }
    // The absolute level is unknown here; the initial namespace is not among the tested depths.
    c->args.nr_pids = one_in(20) ? below(MAX_PIDS) : below(b->depth + 3);
    if (one_in(50)) {
        c->args.nr_pids = 0xffffffff - below(5);
    }
    c->args.parent_tid = random_address(b);
    c->args.child_tid = random_address(b);
    c->args.reserved1 = random_word();
    c->args.reserved2 = random_word();
    c->tls = (uintptr_t)b->low + below(PAGE);
    for (unsigned i = 0; i < MAX_PIDS; i++) {
        c->pids[i] = random_pid(b);
    }
    c->args_at = &c->args;
    c->args_kind = "args";
    c->pids_at = c->pids;
    c->pids_kind = "pids";
    if (one_in(30)) {
        c->args_at = one_in(2) ? NULL : b->edge + PAGE - below(sizeof c->args);
        c->args_kind = c->args_at ? "args-cut" : "NULL";
    } else if (one_in(10)) {
        c->args_at = memcpy(b->edge + PAGE - sizeof c->args - below(9), &c->args, sizeof c->args);
        c->args_kind = "args-edge";
    }
    if (one_in(20)) {
        c->pids_at = one_in(2) ? NULL : b->edge + PAGE - below(4);
        c->pids_kind = c->pids_at ? "pids-cut" : "NULL";
    } else if (one_in(8) && c->args.nr_pids <= MAX_PIDS && c->args_at == &c->args) {
        const size_t size = c->args.nr_pids * sizeof(pid_t);
        c->pids_at = memcpy(b->edge + PAGE - size, c->pids, size);
        c->pids_kind = "pids-edge";
    }
}

// A thread's ids in each of its pid namespaces, oldest first, from a /proc mounted for the
// program's own namespace.
static unsigned nspid_of(const char *path, int *values, unsigned max)
{
    char line[1024];
    unsigned found = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        return 0;
    }
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "NSpid:", 6) != 0) {
            continue;
        }
        char *at = line + 6;
        for (char *end; found < max; found++, at = end) {
            long value = strtol(at, &end, 10);
            if (end == at) {
                break;
            }
            values[found] = (int)value;
        }
    }
    fclose(file);
    return found;
}

// A child's pids in all namespaces that /proc shows. Found with a pidfd: /proc's own pids may
// belong to another namespace, and its list of children is incomplete while others come and go.
static unsigned nspid_of_child(pid_t pid, int *values, unsigned max)
{
    char path[64];
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        return 0;
    }
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    const unsigned found = nspid_of(path, values, max);
    close(pidfd);
    return found;
}

// When the first process of a new pid namespace ends, it ignores SIGCHLD, and so do all that share
// its handlers: here the caller, too (the kernel's zap_pid_ns_processes()).
static int is_shared_init(uint64_t flags)
{
    return (flags & CLONE_SIGHAND) != 0 && (flags & CLONE_NEWPID) != 0;
}

// The result of a successful call: the chosen pids, and * for those that were not asked for.
static void print_child(const struct call *c, long result)
{
    int values[MAX_PIDS];
    const uint64_t flags = c->args.flags;
    // A thread or a sibling is not our child.
    const int visible = !(flags & (CLONE_THREAD | CLONE_PARENT)) && !is_shared_init(flags);
    const unsigned found = visible ? nspid_of_child((pid_t)result, values, MAX_PIDS) : 0;
    printf("ok");
    if (found == 0) {
        const pid_t asked = c->args.nr_pids ? c->pids[c->args.nr_pids - 1] : 0;
        printf(asked != 0 && asked == result ? " as-asked" : " *");
        return;
    }
    const unsigned extra = (flags & CLONE_NEWPID) != 0 && found > 1;
    for (unsigned i = 0; i < found; i++) {
        const int from_end = (int)(found - i) - 1 - (int)extra; // -1: the new namespace
        const int at = (int)c->args.nr_pids - 1 - from_end;
        if (from_end < 0) {
            printf(" new:%d", values[i]);
        } else if (at >= 0 && c->pids[at] != 0) {
            printf(" %d", values[i]);
        } else {
            printf(values[i] > 0 ? " *" : " 0");
        }
    }
}

static void make_call(struct batch *b, unsigned index)
{
    struct call c;
    random_call(b, &c);
    printf("%u.%u depth=%u%s%s%s flags=0x%llx stack=%d nr=%u {", b->index, index, b->depth,
           b->unprivileged ? " unprivileged" : "", b->unshared ? " unshared" : "",
           b->userns ? " userns" : "", (unsigned long long)c.args.flags, c.args.child_stack != 0,
           c.args.nr_pids);
    for (unsigned i = 0; i < c.args.nr_pids && i < MAX_PIDS; i++) {
        printf("%s%d", i ? "," : "", c.pids[i]);
    }
    printf("} %s %s = ", c.args_kind, c.pids_kind);
    fflush(stdout);
    memset(b->low, 0, 512);
    long result = raw_child(number, c.args_at, (uintptr_t)c.pids_at, c.tls);
    if (result < 0) {
        printf("%s", strerrorname_np((int)-result) ? strerrorname_np((int)-result) : "?");
    } else {
        // Waits until it has ended, without reaping it: then it still has its ids.
        siginfo_t info;
        if (!(c.args.flags & (CLONE_THREAD | CLONE_PARENT))) {
            while (waitid(P_PID, (id_t)result, &info, WEXITED | WNOWAIT | __WALL) != 0 &&
                   errno == EINTR) {
            }
        }
        if (is_shared_init(c.args.flags)) {
            signal(SIGCHLD, SIG_DFL);
        }
        print_child(&c, result);
        if (c.args.flags & CLONE_PIDFD) {
            uint32_t fd;
            memcpy(&fd, (void *)(uintptr_t)c.args.parent_tid, sizeof fd);
            printf(" pidfd:%s", close((int)fd) == 0 ? "open" : "bad");
        }
        const pid_t asked = c.args.nr_pids ? c.pids[c.args.nr_pids - 1] : 0;
        const int waitable = !(c.args.flags & (CLONE_THREAD | CLONE_PARENT));
        if (waitable && asked > 1 && b->zombie_count < MAX_ZOMBIES && one_in(3)) {
            b->zombies[b->zombie_count++] = (pid_t)result;
        } else if (waitable) {
            waitpid((pid_t)result, NULL, __WALL);
        } else {
            // The kernel does not report when a thread's pid is free again.
            while (syscall(SYS_tgkill, c.args.flags & CLONE_THREAD ? getpid() : (pid_t)result,
                           (pid_t)result, 0) == 0) {
                usleep(100);
            }
        }
        if (!waitable) {
            usleep(2000);
        }
    }
    printf("\n");
    fflush(stdout);
    if (b->zombie_count == MAX_ZOMBIES) {
        for (unsigned i = 0; i < b->zombie_count; i++) {
            waitpid(b->zombies[i], NULL, __WALL);
        }
        b->zombie_count = 0;
    }
}

static void prepare(struct batch *b)
{
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGRTMAX, SIG_IGN);
    b->low = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                  -1, 0);
    b->edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->low == MAP_FAILED || b->edge == MAP_FAILED ||
        mprotect(b->edge + PAGE, PAGE, PROT_NONE) != 0) {
        die("mmap");
    }
    if (b->unshared && unshare(CLONE_NEWPID) != 0) {
        die("unshare");
    }
    if (b->unprivileged) {
        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) {
            die("setresuid");
        }
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
}

// Enters the remaining namespaces; the innermost process makes the calls, its parent reaps.
static int descend(struct batch *b, unsigned depth)
{
    if (depth > 0) {
        const int userns = depth == 1 && b->userns ? CLONE_NEWUSER : 0;
        if (unshare(CLONE_NEWPID | userns) != 0) {
            die("unshare");
        }
    }
    const pid_t child = fork();
    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        if (depth > 0) {
            _exit(descend(b, depth - 1));
        }
        prepare(b);
        for (unsigned i = 0; i < BATCH; i++) {
            make_call(b, i);
        }
        _exit(0);
    }
    int result = 99;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (pid == child) {
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
    return result;
}

static void run_batch(uint64_t seed, unsigned index)
{
    struct batch b = {.index = index};
    state = seed * 1000003 + index;
    b.depth = 1 + below(MAX_DEPTH);
    b.unprivileged = one_in(6);
    b.unshared = !b.unprivileged && one_in(6);
    b.userns = !b.unprivileged && one_in(5);
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        _exit(descend(&b, b.depth));
    }
    int status;
    waitpid(child, &status, 0);
    if (status != 0) {
        printf("batch %u ended with wait status 0x%x\n", index, (unsigned)status);
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    unsigned calls = 5000;
    for (int option; (option = getopt(argc, argv, "n:s:c:")) != -1;) {
        switch (option) {
        case 'n':
            number = strtol(optarg, NULL, 10);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            calls = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            fprintf(stderr, "usage: clone2-differential [-n NR] [-s SEED] [-c CALLS]\n");
            return 99;
        }
    }
    // No child may outlive the comparison.
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for (unsigned i = 0; i * BATCH < calls; i++) {
        run_batch(seed, i);
    }
    return 0;
}
