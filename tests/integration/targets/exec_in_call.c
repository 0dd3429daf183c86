// SPDX-License-Identifier: MIT
// exec_in_call call FIFO: calls clone2, prints "ready", and calls it again for each line of
// standard input. When a line arrives in FIFO, a second thread executes this program again as
// exec_in_call map ADDRESS: that fills 256 KiB of memory there, prints "mapped" and, for each line,
// says whether the memory is unchanged.
#define _GNU_SOURCE
#include "base/arch/native.h"
#include "clone2.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLONE2_NR = 387, SIZE = 256 * 1024, FILL = 0x5a };

static int map(const char *address)
{
    char *const want = (char *)strtoul(address, NULL, 16);
    char *const got = mmap(want, SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != want) {
        printf("mmap: %s\n", strerror(errno));
        return 99;
    }
    memset(got, FILL, SIZE);
    puts("mapped");
    (void)getchar();
    for (size_t i = 0; i < SIZE; ++i) {
        if (got[i] != FILL) {
            printf("written at %zu\n", i);
            return 1;
        }
    }
    puts("clean");
    return 0;
}

static void *wait_and_exec(void *fifo)
{
    char address[32] = "";
    FILE *const file = fopen(fifo, "r");
    if (file == NULL || fscanf(file, "%31s", address) != 1) {
        _exit(99);
    }
    execl("/proc/self/exe", "exec_in_call", "map", address, NULL);
    _exit(99);
}

static void call(void)
{
    struct clone_struct args = {.flags = SIGCHLD};
    const long pid = raw_call(CLONE2_NR, &args, NULL);
    if (pid == 0) {
        _exit(0);
    }
    if (pid > 0) {
        waitpid((pid_t)pid, NULL, 0);
    }
    printf("%ld\n", pid > 0 ? 0 : pid);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    if (argc != 3) {
        return 99;
    }
    if (strcmp(argv[1], "map") == 0) {
        return map(argv[2]);
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_and_exec, argv[2]) != 0) {
        return 99;
    }
    call();
    puts("ready");
    while (getchar() != EOF) {
        call();
    }
    return 0;
}
