/* SPDX-License-Identifier: MIT */
/*
 * Trap mode: makes the system call after the SIGSYS handler has returned and before the program's
 * next instruction.
 *
 *  - No instruction may change the flags register: only mov, movzx, movd, bswap, jecxz and jmp.
 *  - It must not push: there may be no stack.
 *  - Only eax may be changed, as by any system call.
 *  - The store that frees the slot comes last, together with ebp, in the code that parent_exit and
 *    child_exit point to (context.c). After it the slot may belong to another call.
 *  - A signal may arrive anywhere, and its handler may call clone2.
 *
 * In: the system call's registers, and ebp = the slot's hold.
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
        /* The top byte is 0 for a pid and 0xff for a -errno: no compare is needed. */
        bswap   ecx
        movzx   ecx, cl
        jecxz   .Lparent

        /* It failed, so there is no child. Trap again and let the handler decide. */
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
        /* clone3 takes a range instead of a stack pointer. */
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
        nop                             /* debuggers look up the byte before a return address */
shim_restore:
        mov     eax, NR_RT_SIGRETURN    /* debuggers recognise exactly these bytes */
        int     0x80
        .size   shim_restore, . - shim_restore

        .section .note.GNU-stack, "", @progbits
