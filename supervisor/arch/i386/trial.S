/* SPDX-License-Identifier: MIT */
/*
 * A whole 32-bit program, as a file: --check executes it to try a call of such programs. It makes
 * one call, waits for the child that the call made, and writes the call's result to a descriptor.
 */
#include "arch/i386/trial.h"

        .intel_syntax noprefix
        .section .rodata.clone2_i386_trial, "a", @progbits
        .balign 16
        .code32

        .globl  clone2_i386_trial_begin, clone2_i386_trial_parameters, clone2_i386_trial_end
        .hidden clone2_i386_trial_begin, clone2_i386_trial_parameters, clone2_i386_trial_end

        .set    PARAMETERS, TRIAL_BASE + clone2_i386_trial_parameters - clone2_i386_trial_begin
        .set    NR_EXIT, 1
        .set    NR_WRITE, 4
        .set    NR_WAITPID, 7
        .set    CHILD_STATUS, 7

clone2_i386_trial_begin:
        /* The ELF header: ET_EXEC, EM_386. */
        .byte   0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0
        .zero   8
        .short  2, 3
        .long   1
        .long   TRIAL_BASE + .Lstart - clone2_i386_trial_begin
        .long   .Lsegments - clone2_i386_trial_begin
        .long   0, 0
        .short  52, 32, 2, 0, 0, 0
.Lsegments:
        /* PT_LOAD: all of it, to be read and executed. */
        .long   1, 0, TRIAL_BASE, TRIAL_BASE
        .long   clone2_i386_trial_end - clone2_i386_trial_begin
        .long   clone2_i386_trial_end - clone2_i386_trial_begin
        .long   5, 0x1000
        /* PT_GNU_STACK: not executable. */
        .long   0x6474e551, 0, 0, 0, 0, 0, 6, 16

.Lstart:
        /* The auxiliary vector comes after argv and the environment. */
        mov     eax, [esp]
        lea     edi, [esp + eax * 4 + 8]
.Lenvironment:
        mov     eax, [edi]
        add     edi, 4
        test    eax, eax
        jnz     .Lenvironment
.Lauxiliary:
        mov     eax, [edi]
        test    eax, eax
        jz      .Lfound
        cmp     eax, 32                 /* AT_SYSINFO: the vdso's entry */
        mov     eax, [edi + 4]
        je      .Lfound
        add     edi, 8
        jmp     .Lauxiliary
.Lfound:
        push    eax
        mov     eax, [PARAMETERS + TRIAL_NUMBER]
        mov     ebx, [PARAMETERS + TRIAL_ARGS]
        mov     ecx, [PARAMETERS + TRIAL_ARGS + 4]
        mov     edx, [PARAMETERS + TRIAL_ARGS + 8]
        mov     esi, [PARAMETERS + TRIAL_ARGS + 12]
        mov     edi, [PARAMETERS + TRIAL_ARGS + 16]
        mov     ebp, [PARAMETERS + TRIAL_ARGS + 20]
        cmp     dword ptr [PARAMETERS + TRIAL_BY_VDSO], 0
        je      .Lint80
        mov     eax, -38                /* ENOSYS: there is no vdso */
        cmp     dword ptr [esp], 0
        je      .Lmade
        mov     eax, [PARAMETERS + TRIAL_NUMBER]
        call    [esp]
        jmp     .Lmade
.Lint80:
        int     0x80
.Lmade:
        test    eax, eax
        jz      .Lchild
        push    eax                     /* the result */
        js      .Lreport
        mov     ebx, eax
        push    0
        mov     ecx, esp
        xor     edx, edx
        mov     eax, NR_WAITPID
        int     0x80
        pop     ecx
        cmp     ecx, CHILD_STATUS << 8
        je      .Lreport
        mov     dword ptr [esp], -10    /* ECHILD */
.Lreport:
        mov     ebx, [PARAMETERS + TRIAL_REPORT]
        mov     ecx, esp
        mov     edx, 4
        mov     eax, NR_WRITE
        int     0x80
        xor     ebx, ebx
        jmp     .Lexit
.Lchild:
        mov     ebx, CHILD_STATUS
.Lexit:
        mov     eax, NR_EXIT
        int     0x80

        .balign 8
clone2_i386_trial_parameters:
        .zero   TRIAL_DATA + 64
clone2_i386_trial_end:
        .section .note.GNU-stack, "", @progbits
