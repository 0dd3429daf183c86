// SPDX-License-Identifier: MIT
// Where args and pids may be, and EFAULT.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void bad_args(void)
{
    struct call *c = call_new();
    for (size_t i = 0; i < arch_bad_addresses_count; i++) {
        CALL_SET(c, SIGCHLD, 500);
        c->args = (void *)arch_bad_addresses[i];
        if (!c->args && options.abi->args_may_be_null) {
            call_ok(c, 0);
        } else if (abi_tells_apart(arch_bad_addresses[i])) {
            call_expect(c, -EFAULT);
        }
    }
}

static void bad_pids(void)
{
    struct call *c = call_new();
    for (size_t i = 0; i < arch_bad_addresses_count; i++) {
        CALL_SET(c, SIGCHLD, 500);
        c->pids = (void *)arch_bad_addresses[i];
        call_expect(c, -EFAULT);
    }
}

// The struct ends exactly at the end of a page, or begins just before unreadable memory.
static void args_at_page_edge(void)
{
    struct call *c = call_new();
    size_t page = page_size();
    unsigned char *p = guarded_pages(1, 0);
    const size_t size = options.abi->size;
    for (size_t missing = 0; missing <= size + 8; missing++) {
        unsigned char *at = p + page - size + missing;
        unsigned char whole[ARGS_MAX];
        CALL_SET(c, SIGCHLD, 500);
        call_put_args(c, whole);
        memcpy(at, whole, missing < size ? size - missing : 0);
        c->args = at;
        if (missing == 0) {
            call_ok(c, 500);
        } else {
            call_expect(c, -EFAULT);
        }
    }
    // It begins before the page.
    for (size_t missing = 1; missing <= size; missing++) {
        CALL_SET(c, SIGCHLD, 500);
        c->args = p - missing;
        call_expect(c, -EFAULT);
    }
    CALL_SET(c, SIGCHLD, 500);
    call_put_args(c, p);
    call_ok(c, 500);
}

static void args_across_pages(void)
{
    struct call *c = call_new();
    size_t page = page_size();
    unsigned char *p = guarded_pages(2, 0);
    for (size_t i = 0; i < options.abi->size; i++) {
        CALL_SET(c, SIGCHLD, 500);
        call_put_args(c, p + page - i);
        call_ok(c, 500);
    }
}

static void pids_at_page_edge_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    size_t page = page_size();
    unsigned char *p = guarded_pages(2, 0);
    const pid_t pids[2] = {500, 501};
    for (size_t missing = 0; missing <= 12; missing++) {
        unsigned char *at = p + 2 * page - 8 + missing;
        CALL_SET(c, SIGCHLD, 500, 501);
        memcpy(at, pids, missing < 8 ? 8 - missing : 0);
        c->pids = at;
        if (missing == 0) {
            call_ok(c, 501);
        } else {
            call_expect(c, -EFAULT);
        }
    }
    // Across two pages, also unaligned.
    for (size_t i = 0; i < 8; i++) {
        CALL_SET(c, SIGCHLD, 500, 501);
        memcpy(p + page - i, pids, 8);
        c->pids = p + page - i;
        call_ok(c, 501);
        EXPECT_NSPID(c, 500, 501);
    }
    // No more than nr_pids entries are read.
    CALL_SET(c, SIGCHLD, 501);
    memcpy(p + 2 * page - 4, &pids[1], 4);
    c->pids = p + 2 * page - 4;
    call_ok(c, 501);
}

static void pids_at_page_edge(void)
{
    in_nested(1, pids_at_page_edge_inside, NULL);
}

static void unaligned(void)
{
    struct call *c = call_new();
    unsigned char *p = guarded_pages(1, 0);
    for (size_t i = 0; i < 16; i++) {
        pid_t pid = 500 + (pid_t)i;
        CALL_SET(c, SIGCHLD, pid);
        memcpy(p + 100 + i, &pid, 4);
        c->pids = p + 100 + i;
        call_put_args(c, p + i);
        call_ok(c, pid);
    }
}

static void protection(void)
{
    struct call *c = call_new();
    unsigned char *p = guarded_pages(1, 0);
    pid_t pid = 500;
    CALL_SET(c, SIGCHLD, pid);
    memcpy(p + 64, &pid, 4);
    c->pids = p + 64;
    call_put_args(c, p);
    NEED(mprotect(p, page_size(), PROT_READ));
    call_ok(c, pid);
    // Memory that was readable a moment ago and no longer is.
    NEED(mprotect(p, page_size(), PROT_NONE));
    call_expect(c, -EFAULT);
    CALL_SET(c, SIGCHLD, pid);
    c->pids = p + 64;
    call_expect(c, -EFAULT);
    CALL_SET(c, SIGCHLD, pid);
    c->args = p;
    call_expect(c, -EFAULT);
    // nr_pids 0: the same address is not read.
    call_set(c, SIGCHLD, 0, NULL);
    c->pids = p + 64;
    call_ok(c, 0);
    NEED(munmap(p, page_size()));
    CALL_SET(c, SIGCHLD, pid);
    c->pids = p + 64;
    call_expect(c, -EFAULT);
}

static void same_page(void)
{
    // args and pids overlap.
    struct call *c = call_new();
    const size_t spare = options.abi->spare;
    if (spare) {
        const pid_t pid = 515;
        CALL_SET(c, SIGCHLD, 500);
        unsigned char *p = guarded_pages(1, 0);
        c->pids = p + spare;
        call_put_args(c, p);
        memcpy(c->pids, &pid, sizeof pid);
        call_ok(c, pid);
    }
}

static void constant_data(void)
{
    struct call *c = call_new();
    // A private mapping of a file that can't be written to: what .rodata is.
    const pid_t pid = 520;
    unsigned char constant[ARGS_MAX + sizeof pid];
    int file = memfd_create("constant", MFD_CLOEXEC);
    NEED(file);
    NEED(ftruncate(file, (off_t)page_size()));
    unsigned char *data = mmap(NULL, page_size(), PROT_READ,
                               MAP_PRIVATE | ARCH_MAP_FLAGS(options.by_function), file, 0);
    EXPECT(data != MAP_FAILED, "mmap failed");
    CALL_SET(c, SIGCHLD, pid);
    c->pids = data + ARGS_MAX;
    call_put_args(c, constant);
    memcpy(constant + ARGS_MAX, &pid, sizeof pid);
    NEED(pwrite(file, constant, sizeof constant, 0));
    c->args = data;
    call_ok(c, pid);
    // A file mapping beyond the file's end: SIGBUS for the program, EFAULT for a system call.
    int fd = memfd_create("short", MFD_CLOEXEC);
    NEED(fd);
    NEED(ftruncate(fd, 1));
    unsigned char *p = mmap(NULL, 3 * page_size(), PROT_READ, MAP_SHARED, fd, 0);
    EXPECT(p != MAP_FAILED, "mmap failed");
    CALL_SET(c, SIGCHLD, 500);
    c->args = p + 2 * page_size();
    call_expect(c, -EFAULT);
    CALL_SET(c, SIGCHLD, 500);
    c->pids = p + 2 * page_size();
    call_expect(c, -EFAULT);
}

// Untouched (and swapped-out) pages are readable as zeros.
static void untouched_memory(void)
{
    struct call *c = call_new();
    void *p = mmap(NULL, page_size(), PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | ARCH_MAP_FLAGS(options.by_function), -1, 0);
    EXPECT(p != MAP_FAILED, "mmap failed");
    CALL_SET(c, SIGCHLD, 0);
    c->pids = p;
    call_ok(c, 0);
    // flags 0: no signal when the child ends, and wait needs __WALL (which call_ok uses).
    unsigned char *q =
        mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | ARCH_MAP_FLAGS(options.by_function), -1, 0);
    EXPECT(q != MAP_FAILED, "mmap failed");
    call_set(c, 0, 0, NULL);
    c->args = q;
    c->pids = NULL;
    call_ok(c, 0);
}

const struct check args_checks[] = {
    {"bad-args", "EFAULT: args at addresses that aren't readable", bad_args},
    {"bad-pids", "EFAULT: pids at addresses that aren't readable", bad_pids},
    {"args-at-page-edge", "args half unreadable", args_at_page_edge},
    {"args-across-pages", "args across two pages", args_across_pages},
    {"pids-at-page-edge", "pids half unreadable, across pages", pids_at_page_edge},
    {"unaligned", "args and pids at odd addresses", unaligned},
    {"protection", "read-only memory is fine, PROT_NONE and unmapped are EFAULT", protection},
    {"overlap", "pids within args", same_page},
    {"constant-data", "args in constant data; beyond the end of a file", constant_data},
    {"untouched-memory", "pages that were never touched", untouched_memory},
    {0},
};
