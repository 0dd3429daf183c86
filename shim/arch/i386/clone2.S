/* SPDX-License-Identifier: MIT */
/*
 * clone2(), clone2_call(), and what syscall() does for clone2's number.
 *
 * After the system call, parent and child may run on the same stack at once (CLONE_VM), and the
 * child may overwrite anything that the parent has there. So everything that either needs is in
 * registers before the call: ebp has the caller's value, and the rest is in vector registers, which
 * a function may change and the kernel does not. During the system call the frame lies below the
 * stack pointer, where signal handlers can't reach it. It is read again only if the call failed,
 * when there is no child.
 *
 * The thread pointer is used only to set errno at the end of a failed call.
 */
#include "layout.h"

        .intel_syntax noprefix

        /* The system call's arguments; ebp remains free. */
        .macro  LOAD_ARGUMENTS
        mov     ebx, [esp + CALL_ARG0]
        mov     ecx, [esp + CALL_ARG1]
        mov     edx, [esp + CALL_ARG2]
        mov     esi, [esp + CALL_ARG3]
        mov     edi, [esp + CALL_ARG4]
        mov     eax, [esp + CALL_NR]
        .endm

        /* One of C's 64-bit arguments. */
        .macro  PUSH_WIDE value
        push    0
        .cfi_adjust_cfa_offset 4
        push    \value
        .cfi_adjust_cfa_offset 4
        .endm

        .text

/* long shim_libc_call: the stack as at the entry of syscall(387, args, pids, unused, tls). Returns
 * to the caller of the function that jumps here. */
        .globl  shim_libc_call
        .hidden shim_libc_call
        .type   shim_libc_call, @function
        .balign 16
shim_libc_call:
        .cfi_startproc
        mov     ecx, [esp + 20]
        mov     edx, [esp + 12]
        mov     eax, [esp + 8]
        lea     esp, [esp - FRAME_SIZE]
        .cfi_adjust_cfa_offset FRAME_SIZE
        PUSH_WIDE ecx
        PUSH_WIDE edx
        PUSH_WIDE eax
        lea     eax, [esp + 24]
        push    eax
        .cfi_adjust_cfa_offset 4
        call    shim_prepare
        lea     esp, [esp + 28]
        .cfi_adjust_cfa_offset -28
        jmp     .Lprepared
        .cfi_endproc
        .size   shim_libc_call, . - shim_libc_call

        .globl  clone2
        .type   clone2, @function
        .balign 16
clone2:
        .cfi_startproc
        mov     edx, [esp + 8]
        mov     eax, [esp + 4]
        lea     esp, [esp - FRAME_SIZE]
        .cfi_adjust_cfa_offset FRAME_SIZE
        PUSH_WIDE 0
        PUSH_WIDE edx
        PUSH_WIDE eax
        lea     eax, [esp + 24]
        push    eax
        .cfi_adjust_cfa_offset 4
        call    shim_prepare_from_c
        lea     esp, [esp + 28]
        .cfi_adjust_cfa_offset -28
.Lprepared:
        cmp     eax, SHIM_MAKE_CALL_VALUE
        jne     .Lfailed
        movd    xmm0, ebx
        movd    xmm1, esi
        movd    xmm2, edi
        movd    xmm3, dword ptr [esp + FRAME_SIZE]
        movd    xmm4, dword ptr [esp + CALL_CHILD_SP]
        LOAD_ARGUMENTS
        int     0x80
        movd    ebx, xmm0
        movd    esi, xmm1
        movd    edi, xmm2
        test    eax, eax
        js      .Ljudge
        jnz     .Lleave
        movd    ecx, xmm4
        jecxz   .Lleave
        mov     esp, ecx                /* clone3 takes a range instead of a stack pointer */
        ret                             /* through the new stack, as libc's syscall() does */
.Lleave:
        movd    ecx, xmm3
        lea     esp, [esp + FRAME_SIZE + 4]
        .cfi_adjust_cfa_offset -(FRAME_SIZE + 4)
        .cfi_register eip, ecx
        jmp     ecx
        .cfi_adjust_cfa_offset FRAME_SIZE + 4
        .cfi_offset eip, -4

.Ljudge:
        mov     edx, esp
        lea     esp, [esp - 8]          /* aligned, with the two arguments */
        .cfi_adjust_cfa_offset 8
        push    eax
        .cfi_adjust_cfa_offset 4
        push    edx
        .cfi_adjust_cfa_offset 4
        call    shim_judge
        lea     esp, [esp + 16]
        .cfi_adjust_cfa_offset -16
        jmp     .Lprepared
.Lfailed:
        lea     esp, [esp + FRAME_SIZE]
        .cfi_adjust_cfa_offset -FRAME_SIZE
        .globl  shim_fail
        .hidden shim_fail
shim_fail:                              /* eax = -errno */
        push    ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebx, 0
        push    eax
        .cfi_adjust_cfa_offset 4
        push    eax                     /* aligned */
        .cfi_adjust_cfa_offset 4
        call    .Lhere                  /* a PLT needs it in ebx */
        .cfi_adjust_cfa_offset 4
.Lhere:
        pop     ebx
        .cfi_adjust_cfa_offset -4
        add     ebx, offset _GLOBAL_OFFSET_TABLE_ + (. - .Lhere)
        call    __errno_location@PLT
        pop     ecx
        .cfi_adjust_cfa_offset -4
        pop     ecx
        .cfi_adjust_cfa_offset -4
        neg     ecx
        mov     [eax], ecx
        pop     ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore ebx
        mov     eax, -1
        ret
        .cfi_endproc
        .size   clone2, . - clone2

/* pid_t clone2_call(int (*fn)(void *), void *stack_top, struct clone_struct *args, pid_t *pids,
 *                   void *arg) */
        .globl  clone2_call
        .type   clone2_call, @function
        .balign 16
clone2_call:
        .cfi_startproc
        mov     eax, [esp + 4]
        test    eax, eax
        jz      .Linvalid
        mov     ecx, [esp + 8]
        and     ecx, -16
        jz      .Linvalid
        mov     edx, [esp + 16]         /* pids */
        mov     eax, [esp + 12]         /* args */
        /* The child has another stack, so values saved on this one stay intact. */
        push    ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebx, 0
        push    esi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset esi, 0
        push    edi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset edi, 0
        push    ebp
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebp, 0
        sub     esp, FRAME_SIZE
        .cfi_adjust_cfa_offset FRAME_SIZE
        PUSH_WIDE ecx
        PUSH_WIDE edx
        PUSH_WIDE eax
        lea     eax, [esp + 24]
        push    eax
        .cfi_adjust_cfa_offset 4
        call    shim_prepare_from_c
        add     esp, 28
        .cfi_adjust_cfa_offset -28
.Lcall_prepared:
        cmp     eax, SHIM_MAKE_CALL_VALUE
        jne     .Lcall_done
        mov     ebp, [esp + FRAME_SIZE + 20]                  /* fn */
        movd    xmm0, dword ptr [esp + CALL_CHILD_SP]
        movd    xmm1, dword ptr [esp + FRAME_SIZE + 36]       /* arg */
        LOAD_ARGUMENTS
        int     0x80
        test    eax, eax
        jz      .Lcall_child
        jns     .Lcall_done
        mov     edx, esp
        sub     esp, 8                  /* aligned, with the two arguments */
        .cfi_adjust_cfa_offset 8
        push    eax
        .cfi_adjust_cfa_offset 4
        push    edx
        .cfi_adjust_cfa_offset 4
        call    shim_judge
        add     esp, 16
        .cfi_adjust_cfa_offset -16
        jmp     .Lcall_prepared
.Lcall_done:
        add     esp, FRAME_SIZE
        .cfi_adjust_cfa_offset -FRAME_SIZE
        pop     ebp
        .cfi_adjust_cfa_offset -4
        .cfi_restore ebp
        pop     edi
        .cfi_adjust_cfa_offset -4
        .cfi_restore edi
        pop     esi
        .cfi_adjust_cfa_offset -4
        .cfi_restore esi
        pop     ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore ebx
        test    eax, eax
        js      shim_fail
        ret
.Linvalid:
        mov     eax, -22                /* EINVAL */
        jmp     shim_fail
        .cfi_endproc

        /* Marks the end of the frame chain. */
        .cfi_startproc
        .cfi_undefined eip
.Lcall_child:
        movd    esp, xmm0
        mov     eax, ebp
        xor     ebp, ebp
        movd    ecx, xmm1
        sub     esp, 12                 /* aligned, with the argument */
        push    ecx
        call    eax
        mov     ebx, eax
        mov     eax, NR_EXIT
        int     0x80
        ud2
        .cfi_endproc
        .size   clone2_call, . - clone2_call

        .section .note.GNU-stack, "", @progbits
