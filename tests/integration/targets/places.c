// SPDX-License-Identifier: MIT
// A program in which the usual places for the supervisor's code are unusable. Each argument is a
// step; "call" calls clone2 and prints "pid PID status WAITSTATUS" or "errno N". Static and not
// position independent, so that the dispatch steps know the range of all its code.
#define _GNU_SOURCE
#include "base/arch/native.h"
#include "clone2.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MOST_VDSO = 4 * PAGE, CLONE2_NR = 387 };

/* Newer than some headers: linux/prctl.h, 5.11. */
enum { SET_DISPATCH = 59, DISPATCH_ON = 1, SELECTOR_ALLOW = 0, SELECTOR_BLOCK = 1 };

extern const char etext[], __ehdr_start[];

static volatile sig_atomic_t dispatched;
static volatile unsigned char selector;
static char *shared_copy;
static char before[MOST_VDSO];

static void fail(const char *what)
{
    fprintf(stderr, "places: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* The vdso's mapping, which the kernel does not allow to be split. */
static char *vdso(size_t *size)
{
    char *const begin = (char *)getauxval(AT_SYSINFO_EHDR);
    char line[256];
    FILE *const maps = fopen("/proc/self/maps", "r");
    if (maps == NULL) {
        fail("/proc/self/maps");
    }
    *size = 0;
    while (*size == 0 && fgets(line, sizeof line, maps) != NULL) {
        char *end = NULL;
        if (strtoul(line, &end, 16) == (uintptr_t)begin) {
            *size = strtoul(end + 1, NULL, 16) - (uintptr_t)begin;
        }
    }
    fclose(maps);
    if (*size == 0 || *size > sizeof before) {
        fail("no vdso");
    }
    return begin;
}

static void call(void)
{
    struct clone_struct args = {.flags = SIGCHLD};
    const long pid = raw_call(CLONE2_NR, &args, NULL);
    if (pid == 0) {
        _exit(0);
    }
    int status = 0;
    if (pid > 0 && waitpid((pid_t)pid, &status, 0) == pid) {
        printf("pid %ld status %d\n", pid, status);
    } else {
        printf("errno %ld\n", pid > 0 ? (long)errno : -pid);
    }
}

static void protect_vdso(void)
{
    size_t size = 0;
    char *const begin = vdso(&size);
    if (mprotect(begin, size, PROT_READ) != 0) {
        fail("mprotect");
    }
}

/* Moves the vdso away and puts a copy of its image, which is data, in its place. */
static char *replace_vdso(int flags, int fd)
{
    size_t size = 0;
    char *const begin = vdso(&size);
    memcpy(before, begin, size);
    char *const other = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (other == MAP_FAILED ||
        mremap(begin, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, other) == MAP_FAILED ||
        mmap(begin, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED) {
        fail("mremap");
    }
    memcpy(begin, before, size);
    return begin;
}

static void share_vdso(void)
{
    const int fd = memfd_create("vdso", 0);
    if (fd < 0 || ftruncate(fd, sizeof before) != 0) {
        fail("memfd");
    }
    shared_copy = replace_vdso(MAP_SHARED, fd);
    if (mprotect(shared_copy, PAGE, PROT_READ | PROT_EXEC) != 0) {
        fail("mprotect");
    }
}

/* Leaves no unused byte after the program's text. */
static void fill_text(void)
{
    char *const page = (char *)((uintptr_t)etext & ~(uintptr_t)(PAGE - 1));
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
        fail("mprotect");
    }
    memset((char *)(uintptr_t)etext, 0xcc, (size_t)(page + PAGE - etext));
    if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0) {
        fail("mprotect");
    }
}

static void on_dispatch(int number)
{
    (void)number;
    ++dispatched;
}

/* Syscall user dispatch: system calls from code outside the program's own go to its handler. */
static void dispatch(int with_selector, unsigned char value)
{
    selector = value;
    signal(SIGSYS, on_dispatch);
    const uintptr_t begin = (uintptr_t)__ehdr_start;
    if (prctl(SET_DISPATCH, DISPATCH_ON, begin, (uintptr_t)etext - begin,
              with_selector ? &selector : NULL) != 0) {
        fail("prctl(PR_SET_SYSCALL_USER_DISPATCH)");
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; ++i) {
        const char *const step = argv[i];
        if (strcmp(step, "call") == 0) {
            call();
        } else if (strcmp(step, "noexec") == 0) {
            protect_vdso();
        } else if (strcmp(step, "data") == 0) {
            replace_vdso(MAP_PRIVATE | MAP_ANONYMOUS, -1);
        } else if (strcmp(step, "shared") == 0) {
            share_vdso();
        } else if (strcmp(step, "full") == 0) {
            fill_text();
        } else if (strcmp(step, "dispatch") == 0) {
            dispatch(0, 0);
        } else if (strcmp(step, "dispatch-block") == 0) {
            dispatch(1, SELECTOR_BLOCK);
        } else if (strcmp(step, "dispatch-allow") == 0) {
            dispatch(1, SELECTOR_ALLOW);
        } else {
            fprintf(stderr, "places: unknown step %s\n", step);
            return 99;
        }
    }
    if (shared_copy != NULL && memcmp(before, shared_copy, PAGE) != 0) {
        printf("the shared file was written to\n");
    }
    if (dispatched != 0) {
        printf("%d foreign system calls were dispatched\n", (int)dispatched);
    }
    return 0;
}
