// SPDX-License-Identifier: MIT
// first_calls N: N threads make the program's first call of clone2 at once, when a line of standard
// input arrives. Prints how many of them got a child.
#define _GNU_SOURCE
#include "clone2.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLONE2_NR = 387, STACK = 64 * 1024 };

static pthread_barrier_t begin;

static void *call(void *served)
{
    struct clone_struct args = {.flags = SIGCHLD};
    pthread_barrier_wait(&begin);
    const long child = syscall(CLONE2_NR, &args, NULL);
    if (child == 0) {
        _exit(0);
    }
    *(int *)served = child > 0 && waitpid((pid_t)child, NULL, 0) == child;
    return NULL;
}

int main(int argc, char **argv)
{
    const unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    pthread_t *const threads = calloc(count, sizeof *threads);
    int *const served = calloc(count, sizeof *served);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    pthread_barrier_init(&begin, NULL, count + 1);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], &small, call, &served[i]) != 0) {
            puts("no further thread");
            return 99;
        }
    }
    puts("ready");
    fflush(stdout);
    (void)getchar();
    pthread_barrier_wait(&begin);
    int sum = 0;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        sum += served[i];
    }
    printf("served %d\n", sum);
    return 0;
}
