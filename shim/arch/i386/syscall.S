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
        call    .Lhere
        .cfi_adjust_cfa_offset 4
.Lhere:
        pop     ecx
        .cfi_adjust_cfa_offset -4
        add     ecx, offset _GLOBAL_OFFSET_TABLE_ + (. - .Lhere)
        mov     eax, [esp + 4]
        cmp     eax, [ecx + shim_nr@GOTOFF]
        je      shim_libc_call
        push    ebp
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebp, 0
        push    edi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset edi, 0
        push    esi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset esi, 0
        push    ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebx, 0
        mov     ebx, [esp + 24]
        mov     ecx, [esp + 28]
        mov     edx, [esp + 32]
        mov     esi, [esp + 36]
        mov     edi, [esp + 40]
        mov     ebp, [esp + 44]
        int     0x80
        pop     ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore ebx
        pop     esi
        .cfi_adjust_cfa_offset -4
        .cfi_restore esi
        pop     edi
        .cfi_adjust_cfa_offset -4
        .cfi_restore edi
        pop     ebp
        .cfi_adjust_cfa_offset -4
        .cfi_restore ebp
        cmp     eax, -4095
        jae     shim_fail
        ret
        .cfi_endproc
        .size   syscall, . - syscall

        .section .note.GNU-stack, "", @progbits
