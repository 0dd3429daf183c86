/* SPDX-License-Identifier: MIT */
/* A 32-bit program that makes calls from the kernel's 64-bit code segment: by syscall and by
 * int $0x80. Prints what they return, and then the same for its usual call. Built without position
 * independence, so that all addresses are the same in both segments. */
#include "clone2.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct clone_struct args = {.flags = 17, .nr_pids = 1};
static pid_t pid = 7000;

long by_syscall(void);
long by_int80(void);
__asm__("        .pushsection .text\n"
        "        .macro call64 name, instruction\n"
        "\\name:\n"
        "        push %ebx\n"
        "        push %esi\n"
        "        push %edi\n"
        "        lcall $0x33, $1f\n"
        "        pop %edi\n"
        "        pop %esi\n"
        "        pop %ebx\n"
        "        ret\n"
        "        .code64\n"
        "1:      mov $args, %edi\n"
        "        mov $pid, %esi\n"
        "        mov %edi, %ebx\n"
        "        mov %esi, %ecx\n"
        "        mov $387, %eax\n"
        "        \\instruction\n"
        "        lretl\n"
        "        .code32\n"
        "        .endm\n"
        "        call64 by_syscall, syscall\n"
        "        call64 by_int80, \"int $0x80\"\n"
        "        .popsection\n");

static long usual(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "0"(387), "b"(&args), "c"(&pid) : "memory");
    return result;
}

int main(void)
{
    printf("syscall: %ld\n", by_syscall());
    printf("int $0x80: %ld\n", by_int80());
    fflush(stdout);
    const long child = usual();
    if (child == 0) {
        _exit(5);
    }
    int status = 0;
    waitpid((pid_t)child, &status, 0);
    printf("usual: %ld, %d\n", child, WEXITSTATUS(status));
    return 0;
}
