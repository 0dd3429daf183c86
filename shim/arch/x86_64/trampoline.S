/* SPDX-License-Identifier: MIT */
/*
 * Trap mode: the system call itself, between the return of the SIGSYS handler and the program's next
 * instruction.
 *
 *  - No instruction may change the flags register: only mov, lea, movzx, bswap, jrcxz and jmp.
 *  - Nothing is pushed: there may be no stack.
 *  - Only rax, rcx and r11 may be left changed, as after any system call.
 *  - The store that gives the slot up comes last: from then on it may belong to another call.
 *  - A signal may come at any place, whose handler calls clone2.
 *
 * In: the registers of the system call, and r9 = the slot.
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
        /* A pid has a zero top byte, a -errno 0xff: that tells them apart without a compare. */
        bswap   rcx
        movzx   ecx, cl
        jrcxz   .Lparent

        /* Failed, so there is no child: by another trap, ask the handler what to make of it. */
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
        /* clone3 takes ranges, not a stack pointer. */
        mov     rcx, [r9 + CALL_CHILD_SP]
        jrcxz   .Lsame_stack
        mov     rsp, rcx
.Lsame_stack:
        mov     ecx, [r9 + SLOT_REINSTALL]
        jrcxz   .Lhas_handler
        mov     eax, NR_RT_SIGACTION
        mov     edi, NUMBER_OF_SIGSYS
        lea     rsi, [rip + shim_sigsys_action]
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
        nop                             /* debuggers look one byte before a frame's address */
shim_restore:
        mov     rax, NR_RT_SIGRETURN    /* these very bytes: debuggers know a handler's end by them */
        syscall
        .size   shim_restore, . - shim_restore

        .section .note.GNU-stack, "", @progbits
