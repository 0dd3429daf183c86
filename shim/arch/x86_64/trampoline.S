/* SPDX-License-Identifier: MIT */
/*
 * Trap mode: makes the system call after the SIGSYS handler has returned and before the program's
 * next instruction.
 *
 *  - No instruction may change the flags register: only mov, lea, movzx, bswap, jrcxz and jmp.
 *  - It must not push: there may be no stack.
 *  - Only rax, rcx and r11 may be changed, as by any system call.
 *  - The store that frees the slot comes last: after it the slot may belong to another call.
 *  - A signal may arrive anywhere, and its handler may call clone2.
 *
 * In: the system call's registers, and r9 = the slot.
 */
#include "layout.h"

        .intel_syntax noprefix
        .text
        .globl  shim_trampoline_call, shim_trampoline_reported
        .hidden shim_trampoline_call, shim_trampoline_reported
        .balign 16
shim_trampoline_call:
        .cfi_startproc
        .cfi_undefined rip
        syscall
        mov     rcx, rax
        jrcxz   .Lchild
        /* The top byte is 0 for a pid and 0xff for a -errno: no compare is needed. */
        bswap   rcx
        movzx   ecx, cl
        jrcxz   .Lparent

        /* It failed, so there is no child. Trap again and let the handler decide. */
        mov     [r9 + SLOT_RESULT], rax
        mov     eax, [r9 + CALL_PROGRAM_NR]
        mov     r10d, 0                 /* not SHIM_PASS_ON */
        syscall
shim_trampoline_reported:
        ud2

.Lparent:
        lea     r11, [r9 + SLOT_PARENT_OWNS]
.Lleave:
        mov     rdi, [r9 + SLOT_SAVED]
        mov     rsi, [r9 + SLOT_SAVED + 8]
        mov     rdx, [r9 + SLOT_SAVED + 16]
        mov     r10, [r9 + SLOT_SAVED + 24]
        mov     r8, [r9 + SLOT_SAVED + 32]
        mov     rcx, [r9 + SLOT_RESUME]
        mov     r9, [r9 + SLOT_SAVED + 40]
        mov     byte ptr [r11], 0
        jmp     rcx

.Lchild:
        /* clone3 takes a range instead of a stack pointer. */
        mov     rcx, [r9 + CALL_CHILD_SP]
        jrcxz   .Lsame_stack
        mov     rsp, rcx
.Lsame_stack:
        mov     rcx, [r9 + SLOT_REINSTALL]
        jrcxz   .Lhas_handler
        mov     eax, NR_RT_SIGACTION
        mov     edi, NUMBER_OF_SIGSYS
        mov     rsi, rcx
        mov     edx, 0
        mov     r10d, 8
        syscall
        mov     eax, 0
.Lhas_handler:
        mov     r11, [r9 + SLOT_CHILD_CLEARS]
        jmp     .Lleave
        .cfi_endproc

        .globl  shim_restore
        .hidden shim_restore
        .type   shim_restore, @function
        .balign 16
        nop                             /* debuggers look up the byte before a return address */
shim_restore:
        mov     rax, NR_RT_SIGRETURN    /* debuggers recognise exactly these bytes */
        syscall
        .size   shim_restore, . - shim_restore

        .section .note.GNU-stack, "", @progbits
