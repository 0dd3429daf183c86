// SPDX-License-Identifier: MIT
//
// long arch_call_rbx(struct arch_call *c), long arch_call_r14(struct arch_call *c)
// long arch_function_rbx(struct arch_call *c), long arch_function_r14(struct arch_call *c)
// long arch_int80_r14(struct arch_call *c)
//
// Loads every register from c->in, executes `syscall` or `int $0x80` or calls syscall(), and stores
// every register in c->out[0] (parent, or a failed call) or c->out[1] (child). The parent returns the result; the
// child runs c->child(c) on its own scratch stack and exits its task with the value.
//
// Rules: after the system call only rax, rcx and r11 are free. Nothing may touch the stack (it may
// be at the edge of a page, or not be memory at all), and nothing may touch the flags until they
// are stored. One register must hold the address of c; two variants use different ones, so that
// together they check every register.
#include "offsets.h"

.macro CHECKED_CALL name, base, by_function, int80=0
    .globl \name
    .type \name, @function
\name:
    mov %rbx, SAVED_RBX(%rdi)
    mov %rbp, SAVED_RBP(%rdi)
    mov %r12, SAVED_R12(%rdi)
    mov %r13, SAVED_R13(%rdi)
    mov %r14, SAVED_R14(%rdi)
    mov %r15, SAVED_R15(%rdi)
    mov %rsp, SAVED_RSP(%rdi)
    mov (%rsp), %rax
    mov %rax, SAVED_RIP(%rdi)
    mov %rdi, %rax
    fxrstor64 FX(%rax)
    cmpl $0, USE_AVX(%rax)
    je 1f
    .set i, 0
    .rept 16
    ymm_load %i
    .set i, i + 1
    .endr
1:
    pushq RFLAGS(%rax)
    popfq
    mov RBX(%rax), %rbx
    mov RCX(%rax), %rcx
    mov RDX(%rax), %rdx
    mov RSI(%rax), %rsi
    mov RDI(%rax), %rdi
    mov RBP(%rax), %rbp
    mov R8(%rax), %r8
    mov R9(%rax), %r9
    mov R10(%rax), %r10
    mov R11(%rax), %r11
    mov R12(%rax), %r12
    mov R13(%rax), %r13
    mov R14(%rax), %r14
    mov R15(%rax), %r15
    .if \by_function
    mov R8(%rax), %r9
    mov R10(%rax), %r8
    mov RDX(%rax), %rcx
    mov RSI(%rax), %rdx
    mov RDI(%rax), %rsi
    mov RAX(%rax), %rdi
    mov %rax, %\base
    mov RSP(%rax), %rsp
    call *syscall@GOTPCREL(%rip)
    .globl arch_returned_\base
arch_returned_\base:
    .else
    mov %rax, %\base
    mov RSP(%rax), %rsp
    mov RAX(%rax), %rax
    .if \int80
    int $0x80
    .else
    syscall
    .endif
    .endif
    xchg %rax, %rcx
    jrcxz 2f
    mov %r11, OUT_PARENT + R11(%\base)
    lea OUT_PARENT(%\base), %r11
    jmp 3f
2:
    mov %r11, OUT_CHILD + R11(%\base)
    lea OUT_CHILD(%\base), %r11
3:
    mov %rcx, RAX(%r11)
    mov %rax, RCX(%r11)
    mov %rbx, RBX(%r11)
    mov %rdx, RDX(%r11)
    mov %rsi, RSI(%r11)
    mov %rdi, RDI(%r11)
    mov %rbp, RBP(%r11)
    mov %rsp, RSP(%r11)
    mov %r8, R8(%r11)
    mov %r9, R9(%r11)
    mov %r10, R10(%r11)
    mov %r12, R12(%r11)
    mov %r13, R13(%r11)
    mov %r14, R14(%r11)
    mov %r15, R15(%r11)
    mov SCRATCH(%r11), %rsp
    pushfq
    popq RFLAGS(%r11)
    cld
    mov %\base, %r12
    mov %r11, %rbx
    jmp arch_call_finish
    .size \name, . - \name
.endm

// .rept counts with a symbol, but a register name needs its value: hence the extra macro.
.altmacro
.macro ymm_load n
    vmovdqu (YMM + 32 * \n)(%rax), %ymm\n
.endm
.macro ymm_store n
    vmovdqu %ymm\n, (YMM + 32 * \n)(%rbx)
.endm

    .text
    CHECKED_CALL arch_call_rbx, rbx, 0
    CHECKED_CALL arch_call_r14, r14, 0
    CHECKED_CALL arch_function_rbx, rbx, 1
    CHECKED_CALL arch_function_r14, r14, 1
    CHECKED_CALL arch_int80_r14, r14, 0, 1

// rbx: where to store this task's registers; r12: c. All general registers have been stored.
    .type arch_call_finish, @function
arch_call_finish:
    fxsave64 FX(%rbx)
    cmpl $0, USE_AVX(%r12)
    je 1f
    .set i, 0
    .rept 16
    ymm_store %i
    .set i, i + 1
    .endr
    vzeroupper
1:
    fninit
    ldmxcsr default_mxcsr(%rip)
    mov $SYS_ARCH_PRCTL, %eax
    mov $ARCH_GET_FS_CODE, %edi
    lea FS_BASE(%rbx), %rsi
    syscall
    mov $SYS_ARCH_PRCTL, %eax
    mov $ARCH_GET_GS_CODE, %edi
    lea GS_BASE(%rbx), %rsi
    syscall
    lea OUT_CHILD(%r12), %rax
    cmp %rax, %rbx
    je 2f
    cmpl $BY_LIBC, BY_FUNCTION(%r12)
    jne 4f
    cmpq $-1, RAX(%rbx)
    jne 4f
    call *__errno_location@GOTPCREL(%rip)
    movslq (%rax), %rax
    neg %rax
    mov %rax, RAX(%rbx)
4:
    mov RAX(%rbx), %rax
    mov %r12, %rdi
    // A child that shares the memory may have overwritten the return address on the stack.
    mov SAVED_RIP(%rdi), %rdx
    mov SAVED_RBX(%rdi), %rbx
    mov SAVED_RBP(%rdi), %rbp
    mov SAVED_R12(%rdi), %r12
    mov SAVED_R13(%rdi), %r13
    mov SAVED_R14(%rdi), %r14
    mov SAVED_R15(%rdi), %r15
    mov SAVED_RSP(%rdi), %rsp
    mov %rdx, (%rsp)
    ret
2:
    mov %r12, %rdi
    call *CHILD(%r12)
    mov %eax, %edi
    mov $SYS_EXIT, %eax
    syscall
    ud2
    .size arch_call_finish, . - arch_call_finish

// long arch_perform_popping(const struct arch_syscall *s)
    .globl arch_perform_popping
    .type arch_perform_popping, @function
arch_perform_popping:
    mov SYSCALL_NR(%rdi), %rax
    mov SYSCALL_ARG + 8(%rdi), %rsi
    mov SYSCALL_ARG + 16(%rdi), %rdx
    mov SYSCALL_ARG + 24(%rdi), %r10
    mov SYSCALL_ARG + 32(%rdi), %r8
    mov SYSCALL_ARG + 40(%rdi), %r9
    mov SYSCALL_ARG(%rdi), %rdi
    syscall
    test %rax, %rax
    jz 1f
    ret
1:
    pop %rax
    pop %rdi
    call *%rax
    mov %eax, %edi
    mov $SYS_EXIT, %eax
    syscall
    ud2
    .size arch_perform_popping, . - arch_perform_popping

    .section .rodata
    .balign 4
default_mxcsr:
    .long 0x1f80
    .section .note.GNU-stack, "", @progbits
