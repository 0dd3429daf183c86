// SPDX-License-Identifier: MIT
// What flags share between caller and child, or keep apart: files, handlers, namespaces ...
// namespaces.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

static int child_closes(struct call *c)
{
    return close((int)c->value[0]) < 0;
}

static void files(void)
{
    struct call *c = call_new();
    for (int shared = 0; shared < 2; shared++) {
        int fd = open("/dev/null", O_RDONLY);
        CALL_SET(c, SIGCHLD | (shared ? CLONE_FILES : 0), 700);
        c->child = child_closes;
        c->value[0] = fd;
        call_ok(c, 700);
        expect_long(shared ? "close in the parent with CLONE_FILES"
                           : "close in the parent without CLONE_FILES",
                    shared ? -1 : 0, close(fd));
    }
}

static int child_changes_umask(struct call *c)
{
    (void)c;
    umask(0321);
    return 0;
}

static void fs(void)
{
    struct call *c = call_new();
    for (int shared = 0; shared < 2; shared++) {
        umask(022);
        CALL_SET(c, SIGCHLD | (shared ? CLONE_FS : 0), 700);
        c->child = child_changes_umask;
        call_ok(c, 700);
        expect_long(shared ? "umask with CLONE_FS" : "umask without CLONE_FS", shared ? 0321 : 022,
                    (long)umask(022));
    }
}

static void handler(int number)
{
    (void)number;
}

static int child_sets_handler(struct call *c)
{
    (void)c;
    struct sigaction action = {.sa_handler = SIG_IGN};
    return sigaction(SIGUSR1, &action, NULL) < 0;
}

static void sighand(void)
{
    struct call *c = call_new();
    unsigned char *stack = guarded_pages(4, 0);
    for (int shared = 0; shared < 2; shared++) {
        struct sigaction action;
        signal(SIGUSR1, handler);
        CALL_SET(c, SIGCHLD | CLONE_VM | CLONE_VFORK | (shared ? CLONE_SIGHAND : 0), 700);
        c->own_args.child_stack = (uint64_t)(uintptr_t)stack + 2 * page_size();
        c->child = child_sets_handler;
        call_ok(c, 700);
        sigaction(SIGUSR1, NULL, &action);
        EXPECT((action.sa_handler == SIG_IGN) == shared,
               "CLONE_SIGHAND %d: the child's sigaction is %sseen in the parent", shared,
               shared ? "not " : "");
    }
}

static int child_undoes_semaphore(struct call *c)
{
    struct sembuf up = {0, 5, SEM_UNDO};
    return semop((int)c->value[0], &up, 1) < 0;
}

// Parent and child share the undo list: it is applied when the last of them ends.
static void sysvsem(void)
{
    struct call *c = call_new();
    int id = semget(IPC_PRIVATE, 1, 0600);
    if (id < 0) {
        skip("sysvipc");
    }
    for (int shared = 0; shared < 2; shared++) {
        semctl(id, 0, SETVAL, 0);
        CALL_SET(c, SIGCHLD | (shared ? CLONE_SYSVSEM : 0), 700);
        c->child = child_undoes_semaphore;
        c->value[0] = id;
        call_ok(c, 700);
        int value = semctl(id, 0, GETVAL);
        if (value != (shared ? 5 : 0)) {
            semctl(id, 0, IPC_RMID);
            fail("CLONE_SYSVSEM %d: expected the semaphore to be %d, got %d", shared,
                 shared ? 5 : 0, value);
        }
    }
    semctl(id, 0, IPC_RMID);
}

struct namespace_kind {
    const char *name;
    uint64_t flag;
};

static const struct namespace_kind kinds[] = {
    {"mnt", CLONE_NEWNS},    {"uts", CLONE_NEWUTS},       {"ipc", CLONE_NEWIPC},
    {"net", CLONE_NEWNET},   {"cgroup", CLONE_NEWCGROUP}, {"pid", CLONE_NEWPID},
    {"user", CLONE_NEWUSER},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static int child_reads_namespaces(struct call *c)
{
    char *text = c->user;
    for (int i = 0; i < KINDS; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i].name);
        ssize_t n = readlink(path, text + 64 * i, 63);
        text[64 * i + (n > 0 ? n : 0)] = '\0';
    }
    return 0;
}

static void new_namespaces_inside(void *arg)
{
    uint64_t flags = *(uint64_t *)arg;
    struct call *c = call_new();
    char own[KINDS * 64];
    c->user = own;
    child_reads_namespaces(c);
    if (!own[0]) {
        skip("proc: /proc/self/ns");
    }
    CALL_SET(c, SIGCHLD | flags, 700);
    c->user = low_page(1);
    c->child = child_reads_namespaces;
    call_ok(c, 700);
    for (int i = 0; i < KINDS; i++) {
        const char *theirs = (char *)c->user + 64 * i;
        if (!own[64 * i]) {
            continue;
        }
        EXPECT((strcmp(own + 64 * i, theirs) != 0) == ((flags & kinds[i].flag) != 0),
               "flags 0x%llx: %s namespace: caller %s, child %s", (unsigned long long)flags,
               kinds[i].name, own + 64 * i, theirs);
    }
}

static void new_namespaces(void)
{
    uint64_t all = 0;
    for (int i = 0; i < KINDS; i++) {
        uint64_t flag = kinds[i].flag;
        if (flag == CLONE_NEWUSER) {
            need_user_namespaces();
        }
        in_child(new_namespaces_inside, &flag);
        all |= flag;
        in_child(new_namespaces_inside, &all);
    }
}

const struct check sharing_checks[] = {
    {"clone-files", "CLONE_FILES", files},
    {"clone-fs", "CLONE_FS", fs},
    {"clone-sighand", "CLONE_SIGHAND", sighand},
    {"clone-sysvsem", "CLONE_SYSVSEM", sysvsem},
    {"new-namespaces", "CLONE_NEWNS/UTS/IPC/NET/CGROUP/PID/USER", new_namespaces},
    {0},
};
