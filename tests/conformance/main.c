// SPDX-License-Identifier: MIT
//
// clone2-conformance: checks a provider of clone2, or of another form of the call, against its
// specification. It doesn't know which provider it is: a supervisor, a shim or the kernel.
#define _GNU_SOURCE
#include "abi.h"
#include "arch.h"
#include "call.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, EXIT_BROKEN = 99, JOBS_MAX = 32 };

struct job {
    const struct check *check;
    struct report *report;
    pid_t runner;
    double started;
    double deadline;
};

struct tally {
    int passed, failed, skipped, broken;
};

static double timeout_seconds = 120;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int usage(int status)
{
    FILE *to = status ? stderr : stdout;
    fprintf(to,
            "usage: %s [-a ABI] [-n NR] [-v] [-j JOBS] [-t SECONDS] [-e PERCENT] \\\n"
            "       list | all | NAME...\n"
            "       %s [-a ABI] [-n NR] endure SECONDS [THREADS [returns]]\n"
            "Checks that system call NR behaves as ABI:\n",
            options.program, options.program);
    for (size_t i = 0; abis[i]; i++) {
        if (abis[i]->nr >= 0) {
            fprintf(to, "  %-16s %s, by default %ld\n", abis[i]->name, abis[i]->what, abis[i]->nr);
        }
    }
    fprintf(to, "options:\n"
                "  -j JOBS     checks at the same time (default 1)\n"
                "  -t SECONDS  time limit of one check (default 120)\n"
                "  -e PERCENT  fewer repetitions and random cases (default 100)\n"
                "environment:\n"
                "  CLONE2_SEED=N      repeat the random choices of an earlier run\n"
                "  CLONE2_MUST_RUN=1  a skip is a failure, except for features in CLONE2_ABSENT\n"
                "  CLONE2_ABSENT=a,b  features known to be missing\n"
                "  CLONE2_EINTR=never EINTR is always wrong (shim, patched kernel)\n"
                "  CLONE2_VIA=libc    call libc's syscall() instead of the bare instruction\n"
                "  CLONE2_VIA=vdso    on i386: call __kernel_vsyscall() instead\n"
                "  CLONE2_VIA=int80   on x86-64: i386 calls, by int $0x80 (not all checks fit)\n"
                "exit status: 0 passed, 1 failed, 77 skipped (a single NAME), 99 broken\n");
    return status;
}

static void print_repeat(const struct check *check)
{
    const char *via = getenv("CLONE2_VIA");
    printf("  repeat: CLONE2_SEED=%llu %s%s%s%s -a %s -n %ld %s\n",
           (unsigned long long)options.seed, via ? "CLONE2_VIA=" : "", via ? via : "",
           via ? " " : "", options.program, options.abi->name, options.nr, check->name);
}

static void print_outcome(const struct job *job, struct tally *t)
{
    const char *name = job->check->name;
    const char *text = job->report->text;
    int outcome = job->report->outcome;
    const char *must_run = getenv("CLONE2_MUST_RUN");
    if (outcome == OUTCOME_SKIP && must_run && *must_run == '1' && !feature_is_absent(text) &&
        !abi_leaves_out(name)) {
        printf("FAIL %s: must run, but there is no %s\n", name, text);
        t->failed++;
    } else if (outcome == OUTCOME_SKIP) {
        printf("skip %s: %s\n", name, text);
        t->skipped++;
    } else if (outcome == OUTCOME_BROKEN) {
        printf("BROKEN %s: %s\n", name, text);
        t->broken++;
        print_repeat(job->check);
    } else if (outcome == OUTCOME_FAIL) {
        printf("FAIL %s: %s\n", name, text);
        t->failed++;
        print_repeat(job->check);
    } else {
        note("%.2f s", now() - job->started);
        printf("ok %s\n", name);
        t->passed++;
    }
    fflush(stdout);
}

static void start(struct job *job, const struct check *check)
{
    int fd = job->report->fd;
    memset(job->report, 0, sizeof *job->report);
    job->report->fd = fd;
    job->check = check;
    job->started = now();
    job->deadline = job->started + timeout_seconds;
    job->runner = sandbox_start(check, job->report);
}

// Returns 1 if the job has ended.
static int poll_job(struct job *job, struct tally *t)
{
    int status;
    pid_t pid = job->runner < 0 ? -1 : waitpid(job->runner, &status, WNOHANG);
    if (pid == 0 && now() < job->deadline) {
        return 0;
    }
    struct report *r = job->report;
    if (pid == 0) {
        const char *why = "timeout";
        pid_t init = __atomic_load_n(&r->init, __ATOMIC_SEQ_CST);
        if (init > 0) {
            kill(init, SIGKILL);
        } else {
            kill(job->runner, SIGKILL);
        }
        double patience = now() + 10;
        while ((pid = waitpid(job->runner, &status, WNOHANG)) == 0 && now() < patience) {
            sleep_us(2000);
        }
        if (pid == 0) {
            kill(job->runner, SIGKILL);
            why = "timeout, and SIGKILL does not end it";
        }
        r->outcome = OUTCOME_FAIL;
        snprintf(r->text, sizeof r->text, "%s", why);
    } else if (pid < 0 || (!r->claimed && status != 0)) {
        r->outcome = OUTCOME_BROKEN;
        snprintf(r->text, sizeof r->text, "the runner process was lost");
    }
    print_outcome(job, t);
    job->check = NULL;
    return 1;
}

static int run_checks(const struct check **list, int count, int jobs_wanted)
{
    struct job jobs[JOBS_MAX] = {0};
    struct tally t = {0};
    int jobs_max = jobs_wanted < 1 ? 1 : jobs_wanted > JOBS_MAX ? JOBS_MAX : jobs_wanted;
    for (int i = 0; i < jobs_max; i++) {
        int fd = memfd_create("report", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, sizeof(struct report)) < 0) {
            perror("memfd_create");
            return EXIT_BROKEN;
        }
        jobs[i].report =
            mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (jobs[i].report == MAP_FAILED) {
            perror("mmap");
            return EXIT_BROKEN;
        }
        jobs[i].report->fd = fd;
    }
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    int next = 0;
    int running = 0;
    while (next < count || running > 0) {
        for (int i = 0; i < jobs_max; i++) {
            if (!jobs[i].check && next < count) {
                start(&jobs[i], list[next++]);
                running++;
            } else if (jobs[i].check) {
                running -= poll_job(&jobs[i], &t);
            }
        }
        struct timespec tick = {0, 100000000};
        if (running == jobs_max || next == count) {
            sigtimedwait(&chld, NULL, &tick);
        }
    }
    printf("%d passed, %d failed, %d skipped, %d broken\n", t.passed, t.failed, t.skipped,
           t.broken);
    if (t.broken) {
        return EXIT_BROKEN;
    }
    if (t.failed) {
        return EXIT_FAILURE;
    }
    return count == 1 && t.skipped ? EXIT_SKIPPED : EXIT_SUCCESS;
}

// The checks of "all", one by one: those of every form of the call, then those of this one alone.
static const struct check *nth_check(int n)
{
    for (int i = 0; check_tables[i]; i++) {
        for (const struct check *c = check_tables[i]; c->name; c++) {
            if (n-- == 0) {
                return c;
            }
        }
    }
    for (const struct check *c = options.abi->own_checks; c->name; c++) {
        if (n-- == 0) {
            return c;
        }
    }
    return NULL;
}

static const struct check *find_check(const char *name)
{
    const struct check *check;
    for (int i = 0; (check = nth_check(i)); i++) {
        if (strcmp(check->name, name) == 0) {
            return check;
        }
    }
    for (int i = 0; named_tables[i]; i++) {
        for (check = named_tables[i]; check->name; check++) {
            if (strcmp(check->name, name) == 0) {
                return check;
            }
        }
    }
    return NULL;
}

static void list_checks(void)
{
    const struct check *check;
    for (int i = 0; (check = nth_check(i)); i++) {
        printf("%-28s %s\n", check->name, check->what);
    }
    for (int i = 0; named_tables[i]; i++) {
        for (check = named_tables[i]; check->name; check++) {
            printf("%-28s %s\n", check->name, check->what);
        }
    }
}

// One line in advance instead of the same failure a hundred times.
static int probe_provider(void)
{
    struct call *c = call_new();
    const struct arch_syscall r = call_registers(c);
    fflush(stdout);
    const int libc = options.by_function == ARCH_BY_LIBC;
    long result = libc ? call_libc(&r) : arch_issue(&r);
    if (result == -1 && libc) {
        result = -errno;
    }
    if (result == 0) {
        _exit(0);
    }
    int status;
    if (result > 0) {
        waitpid((pid_t)result, &status, 0);
    }
    if (result == -ENOSYS) {
        printf("BROKEN provider: no provider of %s (ENOSYS): run under clone2-supervise\n",
               options.abi->name);
    } else if (sandbox_probe() < 0) {
        printf("BROKEN sandbox: no pid namespace, neither as root nor in a user namespace\n");
    } else {
        return 0;
    }
    printf("0 passed, 0 failed, 0 skipped, 1 broken\n");
    return -1;
}

static int select_and_run(int argc, char **argv, int jobs)
{
    int all = argc == 1 && strcmp(argv[0], "all") == 0;
    int max = argc;
    while (all && nth_check(max)) {
        max++;
    }
    const struct check **list = calloc((size_t)max + 1, sizeof(struct check *));
    if (!list) {
        return EXIT_BROKEN;
    }
    int count = 0;
    while (all && (list[count] = nth_check(count))) {
        count++;
    }
    for (int i = 0; !all && i < argc; i++) {
        list[count] = find_check(argv[i]);
        if (!list[count++]) {
            fprintf(stderr, "%s: no check \"%s\"; see \"list\"\n", options.program, argv[i]);
            free(list);
            return EXIT_BROKEN;
        }
    }
    int status = EXIT_BROKEN;
    if (probe_provider() == 0) {
        note("seed %llu, %s", (unsigned long long)options.seed,
             options.privileged ? "privileged" : "in user namespaces");
        status = run_checks(list, count, jobs);
    }
    free(list);
    return status;
}

int main(int argc, char **argv)
{
    const char *seed = getenv("CLONE2_SEED");
    const char *eintr = getenv("CLONE2_EINTR");
    const char *via = getenv("CLONE2_VIA");
    int jobs = 1;
    int option;
    options.program = argc > 0 ? argv[0] : "clone2-conformance";
    options.abi = &abi_clone2;
    options.nr = -1;
    options.percent = 100;
    options.seed = seed ? strtoull(seed, NULL, 0) : mix((uint64_t)time(NULL)) >> 32;
    options.eintr_never = eintr && strcmp(eintr, "never") == 0;
    options.by_function = via ? arch_by_function(via) : ARCH_BY_INSTRUCTION;
    options.self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    while ((option = getopt(argc, argv, "+a:n:vj:t:e:h")) != -1) {
        switch (option) {
        case 'a':
            options.abi = abi_find(optarg);
            if (!options.abi) {
                fprintf(stderr, "%s: -a %s: no such form of the call here\n", options.program,
                        optarg);
                return EXIT_BROKEN;
            }
            break;
        case 'n':
            options.nr = strtol(optarg, NULL, 0);
            break;
        case 'v':
            options.verbose = 1;
            break;
        case 'j':
            jobs = atoi(optarg);
            break;
        case 't':
            timeout_seconds = atof(optarg);
            break;
        case 'e':
            options.percent = atoi(optarg);
            if (options.percent < 1 || options.percent > 100) {
                return usage(EXIT_BROKEN);
            }
            break;
        case 'h':
            return usage(0);
        default:
            return usage(EXIT_BROKEN);
        }
    }
    argc -= optind;
    argv += optind;
    if (options.nr < 0) {
        options.nr = options.abi->nr;
    }
    if (options.by_function < 0) {
        fprintf(stderr, "%s: CLONE2_VIA=%s: no such function here\n", options.program, via);
        return EXIT_BROKEN;
    }
    if (argc < 1) {
        return usage(EXIT_BROKEN);
    }
    if (strcmp(argv[0], "list") == 0) {
        list_checks();
        return 0;
    }
    if (strcmp(argv[0], "endure") == 0) {
        return endure_main(argc - 1, argv + 1);
    }
    if (strcmp(argv[0], "inner") == 0 && argc == 2) {
        return inner_main(argv[1]);
    }
    return select_and_run(argc, argv, jobs);
}
