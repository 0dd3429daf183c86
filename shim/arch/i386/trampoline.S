/* SPDX-License-Identifier: MIT */
/*
 * Trap mode: the system call itself, between the return of the SIGSYS handler and the program's next
 * instruction.
 *
 *  - No instruction may change the flags register: only mov, movzx, movd, bswap, jecxz and jmp.
 *  - Nothing is pushed: there may be no stack.
 *  - Only eax may be left changed, as after any system call.
 *  - The store that gives the slot up comes last, with ebp: in what parent_exit and child_exit point
 *    to (context.c). From then on it may belong to another call.
 *  - A signal may come at any place, whose handler calls clone2.
 *
 * In: the registers of the system call, and ebp = the slot's hold.
 */
#include "layout.h"

        .intel_syntax noprefix
        .text
        .globl  shim_trampoline_call, shim_trampoline_reported
        .hidden shim_trampoline_call, shim_trampoline_reported
        .balign 16
shim_trampoline_call:
        .cfi_startproc
        .cfi_undefined eip
        int     0x80
        mov     ecx, eax
        jecxz   .Lchild
        /* A pid has a zero top byte, a -errno 0xff: that tells them apart without a compare. */
        bswap   ecx
        movzx   ecx, cl
        jecxz   .Lparent

        /* Failed, so there is no child: by another trap, ask the handler what to make of it. */
        mov     [ebp + SLOT_RESULT - SLOT_HOLD], eax
        mov     eax, [ebp + CALL_PROGRAM_NR - SLOT_HOLD]
        mov     edi, 0                  /* not SHIM_PASS_ON */
        int     0x80
shim_trampoline_reported:
        ud2

        .macro  LOAD_SAVED
        mov     ebx, [ebp + SLOT_SAVED - SLOT_HOLD]
        mov     ecx, [ebp + SLOT_SAVED + 8 - SLOT_HOLD]
        mov     edx, [ebp + SLOT_SAVED + 16 - SLOT_HOLD]
        mov     esi, [ebp + SLOT_SAVED + 24 - SLOT_HOLD]
        mov     edi, [ebp + SLOT_SAVED + 32 - SLOT_HOLD]
        .endm

.Lparent:
        LOAD_SAVED
        jmp     dword ptr [ebp + HOLD_PARENT_EXIT]

.Lchild:
        /* clone3 takes ranges, not a stack pointer. */
        mov     ecx, [ebp + CALL_CHILD_SP - SLOT_HOLD]
        jecxz   .Lsame_stack
        mov     esp, ecx
.Lsame_stack:
        mov     ecx, [ebp + SLOT_REINSTALL - SLOT_HOLD]
        jecxz   .Lhas_handler
        mov     eax, NR_RT_SIGACTION
        mov     ebx, NUMBER_OF_SIGSYS
        mov     edx, 0
        mov     esi, 8
        int     0x80
        mov     eax, 0
.Lhas_handler:
        LOAD_SAVED
        jmp     dword ptr [ebp + HOLD_CHILD_EXIT]
        .cfi_endproc

        .globl  shim_restore
        .hidden shim_restore
        .type   shim_restore, @function
        .balign 16
        nop                             /* debuggers look one byte before a frame's address */
shim_restore:
        mov     eax, NR_RT_SIGRETURN    /* these very bytes: debuggers know a handler's end by them */
        int     0x80
        .size   shim_restore, . - shim_restore

        .section .note.GNU-stack, "", @progbits
