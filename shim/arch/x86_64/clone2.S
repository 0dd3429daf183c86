/* SPDX-License-Identifier: MIT */
/*
 * clone2(), clone2_call(), and what syscall() does for clone2's number.
 *
 * After the system call, parent and child may run on the same stack at once (CLONE_VM), and the
 * child may overwrite anything that the parent has there. So everything that either needs is in
 * registers before the call: every callee-saved register has the caller's value, and r9 has the
 * return address. During the system call the frame lies below the stack pointer, where signal
 * handlers can't reach it. It is read again only if the call failed, when there is no child.
 *
 * The thread pointer is used only to set errno at the end of a failed call.
 */
#include "layout.h"

        .intel_syntax noprefix

        /* The system call's arguments; r9 remains free. */
        .macro  LOAD_ARGUMENTS
        mov     rdi, [rsp + CALL_ARG0]
        mov     rsi, [rsp + CALL_ARG1]
        mov     rdx, [rsp + CALL_ARG2]
        mov     r10, [rsp + CALL_ARG3]
        mov     r8, [rsp + CALL_ARG4]
        mov     rax, [rsp + CALL_NR]
        .endm

        .text

/* long shim_libc_call: rdi = args, rsi = pids, rdx = tls; the stack as at a function's entry.
 * Returns to the caller of the function that jumps here. */
        .globl  shim_libc_call
        .hidden shim_libc_call
        .type   shim_libc_call, @function
        .balign 16
shim_libc_call:
        .cfi_startproc
        lea     rsp, [rsp - FRAME_SIZE]
        .cfi_adjust_cfa_offset FRAME_SIZE
        mov     rcx, rdx
        mov     rdx, rsi
        mov     rsi, rdi
        mov     rdi, rsp
        call    shim_prepare
        jmp     .Lprepared
        .cfi_endproc
        .size   shim_libc_call, . - shim_libc_call

        .globl  clone2
        .type   clone2, @function
        .balign 16
clone2:
        .cfi_startproc
        lea     rsp, [rsp - FRAME_SIZE]
        .cfi_adjust_cfa_offset FRAME_SIZE
        mov     rdx, rsi
        mov     rsi, rdi
        mov     rdi, rsp
        xor     ecx, ecx
        call    shim_prepare_from_c
.Lprepared:
        cmp     rax, SHIM_MAKE_CALL_VALUE
        jne     .Lfailed
        LOAD_ARGUMENTS
        mov     r9, [rsp + FRAME_SIZE]
        cmp     qword ptr [rsp + CALL_CHILD_SP], 0
        jne     .Lnew_stack
        syscall
        test    rax, rax
        js      .Ljudge
.Lleave:
        lea     rsp, [rsp + FRAME_SIZE + 8]
        .cfi_adjust_cfa_offset -(FRAME_SIZE + 8)
        .cfi_register rip, r9
        jmp     r9
        .cfi_adjust_cfa_offset FRAME_SIZE + 8
        .cfi_offset rip, -8

.Lnew_stack:
        cmp     byte ptr [rsp + CALL_CLONE3], 0
        jne     .Lnew_stack_clone3
        syscall
        test    rax, rax
        js      .Ljudge
        jnz     .Lleave
        ret                             /* through the new stack, as libc's syscall() does */
.Lnew_stack_clone3:
        mov     r8, [rsp + CALL_CHILD_SP] /* not an argument of clone3 */
        syscall
        test    rax, rax
        js      .Ljudge
        jnz     .Lleave
        mov     rsp, r8
        ret

.Ljudge:
        mov     rsi, rax
        mov     rdi, rsp
        call    shim_judge
        jmp     .Lprepared
.Lfailed:
        lea     rsp, [rsp + FRAME_SIZE]
        .cfi_adjust_cfa_offset -FRAME_SIZE
        .globl  shim_fail
        .hidden shim_fail
shim_fail:                              /* rax = -errno */
        push    rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        mov     ebx, eax
        neg     ebx
        call    __errno_location@PLT
        mov     [rax], ebx
        pop     rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        mov     rax, -1
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
        test    rdi, rdi
        jz      .Linvalid
        and     rsi, -16
        jz      .Linvalid
        /* The child has another stack, so values saved on this one stay intact. */
        push    r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        push    r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        sub     rsp, FRAME_SIZE + 8
        .cfi_adjust_cfa_offset FRAME_SIZE + 8
        mov     r12, rdi
        mov     r13, r8
        mov     rdi, rsp
        xchg    rcx, rsi                /* stack_top, pids */
        xchg    rdx, rsi                /* pids, args */
        call    shim_prepare_from_c
.Lcall_prepared:
        cmp     rax, SHIM_MAKE_CALL_VALUE
        jne     .Lcall_done
        LOAD_ARGUMENTS
        mov     r9, [rsp + CALL_CHILD_SP]
        syscall
        test    rax, rax
        jz      .Lcall_child
        jns     .Lcall_done
        mov     rsi, rax
        mov     rdi, rsp
        call    shim_judge
        jmp     .Lcall_prepared
.Lcall_done:
        add     rsp, FRAME_SIZE + 8
        .cfi_adjust_cfa_offset -(FRAME_SIZE + 8)
        pop     r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        pop     r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        test    rax, rax
        js      shim_fail
        ret
.Linvalid:
        mov     rax, -22                /* EINVAL */
        jmp     shim_fail
        .cfi_endproc

        /* Marks the end of the frame chain. */
        .cfi_startproc
        .cfi_undefined rip
.Lcall_child:
        mov     rsp, r9
        xor     ebp, ebp
        mov     rdi, r13
        call    r12
        mov     edi, eax
        mov     eax, NR_EXIT
        syscall
        ud2
        .cfi_endproc
        .size   clone2_call, . - clone2_call

        .section .note.GNU-stack, "", @progbits
