// SPDX-License-Identifier: MIT
// Outcomes, child processes, random numbers: used by every check.
#ifndef CONFORMANCE_HARNESS_H
#define CONFORMANCE_HARNESS_H

#include <stdint.h>
#include <sys/types.h>

struct check {
    const char *name;
    const char *what;
    void (*run)(void);
};

// Each file's table of checks ends with an entry without a name.
extern const struct check *const check_tables[];
// Those that are not among "all".
extern const struct check *const named_tables[];

enum outcome { OUTCOME_NONE, OUTCOME_FAIL, OUTCOME_SKIP, OUTCOME_BROKEN };

// In memory shared by all processes of a check; the first outcome counts.
struct report {
    int outcome;
    int claimed;
    pid_t init; // the init of the check's namespace, as the suite sees it
    int fd;     // of this memory
    char text[1000];
};

struct abi;

struct options {
    const struct abi *abi; // the form of the call
    long nr;               // its number
    uint64_t seed;         // CLONE2_SEED
    int verbose;           // -v
    int percent;           // -e: percentage of repetitions
    int privileged;        // pid namespaces can be created without a user namespace
    int eintr_never;       // CLONE2_EINTR=never: the provider can't cause EINTR
    int by_function;       // ARCH_BY_*, by CLONE2_VIA
    int self;              // descriptor of this program, for exec
    const char *program;
};

extern struct options options;
extern struct report *report;

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void broken(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
// `all`, or the percentage of it set by -e.
int repetitions(int all);
// For checks that a function call can't pass: skips if calls are made with libc's syscall().
void need_bare_instruction(void);
// Skips if CLONE2_ABSENT lists the feature; only the caller of the suite can know that.
void need_feature(const char *feature, const char *why);
int feature_is_absent(const char *feature); // compares up to the end or a colon

#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail(__VA_ARGS__);                                                                     \
    } while (0)

// For a test's own set-up: a value of -1 means that errno has the reason.
#define NEED(call) need((long)(call), #call, __FILE__, __LINE__)
long need(long value, const char *call, const char *file, int line);

void expect_long(const char *what, long want, long got);
const char *errno_name(int error);
// "77", or "-EBUSY".
const char *result_text(long result);

// fork(); on failure the check ends as broken.
pid_t spawn(void);
// Waits for pid. Ends the caller quietly if the child recorded an outcome; fails on any other
// death.
void join(pid_t pid);
int wait_status(pid_t pid);
// Runs fn in a forked child and joins it.
void in_child(void (*fn)(void *), void *arg);
void expect_no_children(const char *when);

uint64_t random_u64(void);
uint32_t random_below(uint32_t n);
void random_seed(uint64_t seed);
uint64_t mix(uint64_t x);
void sleep_us(unsigned us);

// Reads a small file; returns the length or -1.
long read_file(const char *path, char *buffer, size_t size);
int write_file(const char *path, const char *text);

// sandbox.c: starts the check in new namespaces; returns the runner's pid.
pid_t sandbox_start(const struct check *check, struct report *r);
// Returns 0, or -1 if no pid namespace can be created at all; sets options.privileged.
int sandbox_probe(void);
int become_user_namespace_root(void); // unshare(CLONE_NEWUSER) with root mapped

// inner.c: a second program image inside a check.
// Executes "inner NAME" of this program; doesn't return.
void exec_inner(const char *name) __attribute__((noreturn));
int inner_main(const char *name);

int endure_main(int argc, char **argv);

#endif
