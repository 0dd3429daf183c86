// SPDX-License-Identifier: MIT
// The example of the clone2() proposal (v7, 2009), completed into a runnable program:
//
//     clone2-supervise --pidns -- clone2_hello
//
// It asks for a child with two pids: 77 in this process's pid namespace and 99 in a namespace
// nested in it. CLONE2_NR=NUMBER in the environment replaces system call number 387.

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __NR_clone2
#define __NR_clone2 387
#endif

// As the proposal has it; in other programs, <clone2.h> does.
struct clone_struct {
    uint64_t flags;
    uint64_t child_stack;
    uint32_t nr_pids;
    uint32_t parent_tid;
    uint32_t child_tid;
    uint32_t reserved1;
    uint64_t reserved2;
};

static long clone2_number(void)
{
    const char *text = getenv("CLONE2_NR");
    char *end;

    if (!text || !*text) {
        return __NR_clone2;
    }
    long number = strtol(text, &end, 0);
    if (*end || number < 0 || number > 0xffff) {
        fprintf(stderr, "clone2_hello: CLONE2_NR is not a system-call number\n");
        exit(2);
    }
    return number;
}

static void explain_clone2_failure(int error)
{
    fprintf(stderr, "clone2_hello: clone2(): %s\n", strerror(error));
    switch (error) {
    case ENOSYS:
        fprintf(stderr, "nothing here provides clone2; run this under the supervisor:\n"
                        "    clone2-supervise --pidns -- clone2_hello\n");
        break;
    case EPERM:
        fprintf(stderr, "choosing pids needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE over the pid\n"
                        "namespace; --pidns creates one that is yours, even without root\n");
        break;
    case EBUSY:
        fprintf(stderr, "pid 77 is in use in this pid namespace; --pidns gives an empty one\n");
        break;
    default:
        break;
    }
}

// A pid namespace lives as long as its pid 1, so that process must be created first and stay.
static pid_t start_nested_namespace(void)
{
    if (unshare(CLONE_NEWPID) < 0) {
        fprintf(stderr,
                "clone2_hello: unshare(CLONE_NEWPID): %s\n"
                "run this as root or under clone2-supervise --pidns\n",
                strerror(errno));
        exit(1);
    }
    pid_t init = fork();
    if (init < 0) {
        perror("clone2_hello: fork");
        exit(1);
    }
    if (init == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            pause();
        }
    }
    return init;
}

// /proc shows this process's namespace, so the line lists the child's pids, outermost first.
static int pids_as_asked(pid_t pid)
{
    char path[64];
    char line[256];
    long outer = 0, inner = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    if (!status) {
        fprintf(stderr, "clone2_hello: %s: %s\n", path, strerror(errno));
        return 0;
    }
    while (fgets(line, sizeof(line), status)) {
        if (strncmp(line, "NSpid:", 6) != 0) {
            continue;
        }
        printf("parent: %s says %s", path, line);
        // If /proc is of an older namespace, the last two numbers count.
        for (char *word = strtok(line + 6, " \t\n"); word; word = strtok(NULL, " \t\n")) {
            outer = inner;
            inner = strtol(word, NULL, 10);
        }
    }
    fclose(status);
    return outer == 77 && inner == 99;
}

int main(void)
{
    pid_t pids[] = {77, 99};
    struct clone_struct cs = {
        .flags = SIGCHLD,
        .child_stack = 0, // as with fork(): the child's own copy of this stack
        .nr_pids = 2,
    };
    int hold[2]; // keeps the child alive until its entry in /proc has been read
    int status;

    pid_t init = start_nested_namespace();
    if (pipe(hold) < 0) { // not earlier: the namespace's pid 1 must not hold its ends
        perror("clone2_hello: pipe");
        return 1;
    }
    printf("parent: my pid is %d; asking for a child with pids {77, 99}\n", (int)getpid());
    fflush(stdout); // or the child would print it a second time

    long rc = syscall(clone2_number(), &cs, pids);

    if (rc < 0) {
        explain_clone2_failure(errno);
        kill(init, SIGKILL);
        return 1;
    }
    if (rc == 0) {
        char byte;
        printf("child:  clone2 returned 0, my pid in the nested namespace is %d\n", (int)getpid());
        fflush(stdout);
        close(hold[1]);
        if (read(hold[0], &byte, 1) < 0) { // ends when the parent closes its side
            _exit(1);
        }
        _exit(getpid() == 99 ? 0 : 1);
    }

    printf("parent: clone2 returned %ld, the child's pid in my namespace\n", rc);
    int good = rc == 77 && pids_as_asked((pid_t)rc);
    close(hold[1]);
    if (waitpid((pid_t)rc, &status, 0) != rc || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "clone2_hello: the child reports a wrong pid\n");
        good = 0;
    }
    kill(init, SIGKILL);
    waitpid(init, NULL, 0);
    printf("%s\n", good ? "the child had the pids that were asked for" : "WRONG pids");
    return good ? 0 : 1;
}
