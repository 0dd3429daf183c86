/* SPDX-License-Identifier: MIT */
/* A 64-bit program that makes calls of both kinds: by syscall, and i386 calls by int $0x80.
 *
 *   mixed_calls turns      by turns, from one thread
 *   mixed_calls threads    at once, one kind by each of two threads
 *   mixed_calls segment    int $0x80 from a 32-bit code segment
 *
 * Prints "ok", or the first difference. */
#define _GNU_SOURCE
#include "clone2.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 200, FIRST_PID = 7000 };

/* Room for the code of the second kind of call: nearly all of the text's last page. */
__asm__(".pushsection .text_end, \"ax\", @progbits\n"
        ".balign 4096\n"
        "ud2\n"
        ".popsection");

/* What one call points to, below 4 GiB. */
struct data {
    struct clone_struct args;
    pid_t pid;
};

/* A call of either kind, with the patterns that the registers without an argument must keep. */
static long by_syscall(const struct data *data)
{
    register uint64_t r8 __asm__("r8") = 0x8888888888888888;
    register uint64_t r15 __asm__("r15") = 0xffffffffffffff15;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result), "+r"(r8), "+r"(r15)
                     : "0"(387L), "D"(&data->args), "S"(&data->pid)
                     : "rcx", "r11", "memory");
    return r8 == 0x8888888888888888 && r15 == 0xffffffffffffff15 ? result : -1000;
}

static long by_int80(const struct data *data)
{
    register uint64_t r8 __asm__("r8") = 0x8888888888888888;
    register uint64_t r15 __asm__("r15") = 0xffffffffffffff15;
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result), "+r"(r8), "+r"(r15)
                     : "0"(387L), "b"(&data->args), "c"(&data->pid)
                     : "memory");
    return r8 == 0x8888888888888888 && r15 == 0xffffffffffffff15 ? result : -1000;
}

/* The same from the kernel's 32-bit code segment, on a stack of its own. */
long by_segment(const struct data *data, void *stack);
__asm__("        .pushsection .text\n"
        "by_segment:\n"
        "        push %rbx\n"
        "        push %rbp\n"
        "        mov %rsp, %rbp\n"
        "        mov %rsi, %rsp\n"
        "        push %rbp\n"
        "        mov %rdi, %rbx\n"
        "        lea 40(%rdi), %rcx\n"
        "        pushq $0x23\n"
        "        lea 1f(%rip), %rax\n"
        "        push %rax\n"
        "        lretq\n"
        "        .code32\n"
        "1:      mov $387, %eax\n"
        "        int $0x80\n"
        "        pushl $0x33\n"
        "        call 3f\n"
        "3:      addl $(2f - 3b), (%esp)\n"
        "        lretl\n"
        "        .code64\n"
        "2:      cltq\n"
        "        pop %rsp\n"
        "        pop %rbp\n"
        "        pop %rbx\n"
        "        ret\n"
        "        .popsection\n");

static void expect(const char *what, long got, long wanted)
{
    if (got == wanted) {
        return;
    }
    printf("%s: %ld, not %ld\n", what, got, wanted);
    exit(1);
}

static struct data *low_memory(size_t size)
{
    void *const at =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (at == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return at;
}

static void call_and_reap(const char *what, long (*call)(const struct data *), struct data *data,
                          pid_t pid)
{
    int status;
    data->args = (struct clone_struct){.flags = 17, .nr_pids = 1};
    data->pid = pid;
    const long child = call(data);
    if (child == 0) {
        _exit(getpid() == data->pid ? 5 : 6);
    }
    expect(what, child, pid);
    expect("waitpid", waitpid(pid, &status, 0), pid);
    expect("status", status, 5 << 8);
}

static void *call_by_int80(void *data)
{
    for (int i = 0; i < CALLS; i++) {
        call_and_reap("int $0x80", by_int80, data, FIRST_PID + CALLS + i);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct data *const one = low_memory(sizeof *one);
    const char *const how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "turns") == 0) {
        for (int i = 0; i < CALLS; i++) {
            call_and_reap("int $0x80", by_int80, one, FIRST_PID + 2 * i);
            call_and_reap("syscall", by_syscall, one, FIRST_PID + 2 * i + 1);
        }
    } else if (strcmp(how, "threads") == 0) {
        pthread_t other;
        expect("pthread_create", pthread_create(&other, NULL, call_by_int80, low_memory(4096)), 0);
        for (int i = 0; i < CALLS; i++) {
            call_and_reap("syscall", by_syscall, one, FIRST_PID + i);
        }
        pthread_join(other, NULL);
    } else {
        enum { STACK = 4096 };
        char *const stack = (char *)low_memory(STACK);
        one->args = (struct clone_struct){.flags = 17, .nr_pids = 1};
        one->pid = FIRST_PID;
        expect("int $0x80 in a 32-bit code segment", by_segment(one, stack + STACK), -38);
        /* Nothing has changed for its other calls. */
        call_and_reap("int $0x80", by_int80, one, FIRST_PID);
        call_and_reap("syscall", by_syscall, one, FIRST_PID + 1);
    }
    puts("ok");
    return 0;
}
