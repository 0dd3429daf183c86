/* SPDX-License-Identifier: MIT */
/* long syscall(long number, ...): libc's function, but it translates clone2's number. */
#include "layout.h"

        .intel_syntax noprefix
        .text

        .globl  syscall
        .type   syscall, @function
        .balign 16
syscall:
        .cfi_startproc
        cmp     edi, [rip + shim_nr]    /* like the kernel, use the lower half only */
        je      .Lclone2
        mov     rax, rdi
        mov     rdi, rsi
        mov     rsi, rdx
        mov     rdx, rcx
        mov     r10, r8
        mov     r8, r9
        mov     r9, [rsp + 8]
        syscall
        cmp     rax, -4095
        jae     .Lfail
        ret
.Lfail:
        jmp     shim_fail
.Lclone2:
        mov     rdi, rsi
        mov     rsi, rdx
        mov     rdx, r9                 /* the fifth argument: clone(2)'s tls */
        jmp     shim_libc_call
        .cfi_endproc
        .size   syscall, . - syscall

        .section .note.GNU-stack, "", @progbits
