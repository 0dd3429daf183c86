// SPDX-License-Identifier: MIT
//
// long arch_call_edi(struct arch_call *c), long arch_call_ebp(struct arch_call *c)
// long arch_vdso_edi(struct arch_call *c), long arch_vdso_ebp(struct arch_call *c)
// long arch_libc_edi(struct arch_call *c), long arch_libc_ebp(struct arch_call *c)
// and the same with _args
//
// Loads every register from c->in, executes `int $0x80` or calls the function, and stores every
// register in c->out[0] (parent, or a failed call) or c->out[1] (child). The parent returns the
// result; the child runs c->child(c) on its own scratch stack and exits its task with the value.
//
// Rules: after the system call only eax is free. Nothing may touch the stack (it may be at the edge
// of a page, or not be memory at all), and nothing may touch the flags until they are stored. One
// register must hold the address of c; two variants use different ones, so that together they check
// every register. In the third, ebp holds the address of c->args, as an argument.
#include "offsets.h"

// ecx and eax have been exchanged.
.macro STORE to, base, offset
    mov %ecx, \to + EAX - \offset(%\base)
    mov %ebx, \to + EBX - \offset(%\base)
    mov %eax, \to + ECX - \offset(%\base)
    mov %edx, \to + EDX - \offset(%\base)
    mov %esi, \to + ESI - \offset(%\base)
    mov %edi, \to + EDI - \offset(%\base)
    mov %ebp, \to + EBP - \offset(%\base)
    mov %esp, \to + ESP - \offset(%\base)
    mov \to + SCRATCH - \offset(%\base), %esp
    pushfl
    popl \to + EFLAGS - \offset(%\base)
    cld
    lea \to - \offset(%\base), %ebx
    lea -\offset(%\base), %esi
    jmp arch_call_finish
.endm

// \offset: how far behind c the base points
.macro CHECKED_CALL name, base, by, offset=0
    .globl arch_\name
    .type arch_\name, @function
arch_\name:
    mov 4(%esp), %eax
    mov %ebx, SAVED_EBX(%eax)
    mov %esi, SAVED_ESI(%eax)
    mov %edi, SAVED_EDI(%eax)
    mov %ebp, SAVED_EBP(%eax)
    mov %esp, SAVED_ESP(%eax)
    mov (%esp), %ecx
    mov %ecx, SAVED_EIP(%eax)
    fxrstor FX(%eax)
    cmpl $0, USE_AVX(%eax)
    je 1f
    .set i, 0
    .rept 8
    ymm_load %i
    .set i, i + 1
    .endr
1:
    pushl EFLAGS(%eax)
    popfl
    mov EBX(%eax), %ebx
    mov ECX(%eax), %ecx
    mov EDX(%eax), %edx
    mov ESI(%eax), %esi
    mov EDI(%eax), %edi
    mov EBP(%eax), %ebp // c or c->args if ebp is the base
    mov ESP(%eax), %esp
    .ifc \by, libc
    pushl EBP(%eax)
    pushl EDI(%eax)
    pushl ESI(%eax)
    pushl EDX(%eax)
    pushl ECX(%eax)
    pushl EBX(%eax)
    pushl EAX(%eax)
    .endif
    mov EAX(%eax), %eax
    .ifc \by, call
    int $0x80
    .else
    call *FUNCTION - \offset(%\base)
    .globl arch_returned_\name
arch_returned_\name:
    .endif
    .ifc \by, libc
    lea 28(%esp), %esp
    .endif
    xchg %eax, %ecx
    jecxz 2f
    jmp 3f
2:
    STORE OUT_CHILD, \base, \offset
3:
    STORE OUT_PARENT, \base, \offset
    .size arch_\name, . - arch_\name
.endm

// .rept counts with a symbol, but a register name needs its value: hence the extra macro.
.altmacro
.macro ymm_load n
    vmovdqu (YMM + 32 * \n)(%eax), %ymm\n
.endm
.macro ymm_store n
    vmovdqu %ymm\n, (YMM + 32 * \n)(%ebx)
.endm

    .text
    CHECKED_CALL call_edi, edi, call
    CHECKED_CALL call_ebp, ebp, call
    CHECKED_CALL call_args, ebp, call, ARGS
    CHECKED_CALL vdso_edi, edi, vdso
    CHECKED_CALL vdso_ebp, ebp, vdso
    CHECKED_CALL vdso_args, ebp, vdso, ARGS
    CHECKED_CALL libc_edi, edi, libc
    CHECKED_CALL libc_ebp, ebp, libc
    CHECKED_CALL libc_args, ebp, libc, ARGS

// ebx: where to store this task's registers; esi: c. All general registers have been stored.
    .type arch_call_finish, @function
arch_call_finish:
    fxsave FX(%ebx)
    cmpl $0, USE_AVX(%esi)
    je 1f
    .set i, 0
    .rept 8
    ymm_store %i
    .set i, i + 1
    .endr
    vzeroupper
1:
    fninit
    pushl $0x1f80
    ldmxcsr (%esp)
    mov %ds, %eax
    mov %eax, DS(%ebx)
    mov %es, %eax
    mov %eax, ES(%ebx)
    mov %fs, %eax
    mov %eax, FS(%ebx)
    mov %gs, %eax
    mov %eax, GS(%ebx)
    shr $3, %eax
    mov %eax, TLS(%ebx)
    mov %ebx, %edi
    lea TLS(%ebx), %ebx
    mov $SYS_GET_THREAD_AREA, %eax
    int $0x80
    lea OUT_CHILD(%esi), %eax
    cmp %eax, %edi
    je 2f
    mov EAX(%edi), %eax
    mov %esi, %ecx
    // A child that shares the memory may have overwritten the return address on the stack.
    mov SAVED_EIP(%ecx), %edx
    mov SAVED_EBX(%ecx), %ebx
    mov SAVED_ESI(%ecx), %esi
    mov SAVED_EDI(%ecx), %edi
    mov SAVED_EBP(%ecx), %ebp
    mov SAVED_ESP(%ecx), %esp
    mov %edx, (%esp)
    ret
2:
    sub $8, %esp // aligned to 16 bytes, counting past and next pushes
    pushl %esi
    call *CHILD(%esi)
    mov %eax, %ebx
    mov $SYS_EXIT, %eax
    int $0x80
    ud2
    .size arch_call_finish, . - arch_call_finish

// long arch_perform_popping(const struct arch_syscall *s)
    .globl arch_perform_popping
    .type arch_perform_popping, @function
arch_perform_popping:
    push %ebx
    push %esi
    push %edi
    push %ebp
    mov 20(%esp), %eax
    mov SYSCALL_ARG(%eax), %ebx
    mov SYSCALL_ARG + 8(%eax), %ecx
    mov SYSCALL_ARG + 16(%eax), %edx
    mov SYSCALL_ARG + 24(%eax), %esi
    mov SYSCALL_ARG + 32(%eax), %edi
    mov SYSCALL_ARG + 40(%eax), %ebp
    mov SYSCALL_NR(%eax), %eax
    int $0x80
    test %eax, %eax
    jz 1f
    pop %ebp
    pop %edi
    pop %esi
    pop %ebx
    ret
1:
    pop %eax
    pop %edx
    push %edx // for the function
    call *%eax
    mov %eax, %ebx
    mov $SYS_EXIT, %eax
    int $0x80
    ud2
    .size arch_perform_popping, . - arch_perform_popping
    .section .note.GNU-stack, "", @progbits
