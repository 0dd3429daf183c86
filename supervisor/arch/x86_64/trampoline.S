/* SPDX-License-Identifier: MIT */
/*
 * The code that runs inside a target (x86-64). The supervisor never executes it: it copies it,
 * position independent, into a private page of the target.
 *
 * Rules for everything below:
 *  - No instruction may change the flags register: only mov, lea, movzx, bswap, jrcxz and jmp.
 *  - It must not push: the stack may be a few bytes at the edge of a page (Go, 1-page stacks).
 *  - Only rax, rcx and r11 may be changed, as by any system call.
 *  - Load everything first, store the "free" flag last, then jump: after the store the slot
 *    belongs to the next call.
 *  - A signal whose handler calls clone2 may interrupt any place, and the supervisor may be gone at
 *    any place.
 */
#include "arch/marks.h"
#include "arch/x86_64/slot_layout.h"

        .intel_syntax noprefix
        .section .rodata.clone2_trampoline, "a", @progbits
        .balign 16

        .globl  clone2_trampoline_begin, clone2_trampoline_end
        .globl  clone2_trampoline_call, clone2_trampoline_boot
        .globl  clone2_trampoline_report_mark, clone2_trampoline_boot_report_mark
        .hidden clone2_trampoline_begin, clone2_trampoline_end
        .hidden clone2_trampoline_call, clone2_trampoline_boot
        .hidden clone2_trampoline_report_mark, clone2_trampoline_boot_report_mark

clone2_trampoline_begin:
        /* Signature, patched by the supervisor before the copy: identifies this copy as ours. */
        .quad   0, 0
        /* Address of the area, written by the supervisor when it is known. */
        .quad   0

        /* One call. In: r11 = the call's slot. Everything else is as the program left it. */
clone2_trampoline_call:
        movzx   ecx, word ptr [r11 + SLOT_PLAIN]
        jrcxz   .Lclone3
        /* clone(2) takes the program's registers: kept in the slot, in a spare one by the
         * supervisor, which writes nothing here else. r8 has the thread pointer, as the program's
         * own call has it there. */
        mov     ecx, [r11 + SLOT_PARENT_BUSY]
        jrcxz   .Lkept
        mov     [r11 + SLOT_RDX], rdx
        mov     [r11 + SLOT_R10], r10
        mov     [r11 + SLOT_R9], r9
.Lkept:
        mov     r9, r11
        mov     rdi, [r9 + SLOT_FLAGS]
        mov     rsi, [r9 + SLOT_CHILD_SP]
        mov     rdx, [r9 + SLOT_PARENT_TID]
        mov     r10, [r9 + SLOT_CHILD_TID]
        mov     eax, NR_CLONE
        syscall
        lea     rdi, [r9 + SLOT_CLONE_ARGS]
        mov     rdx, [r9 + SLOT_RDX]
        mov     r10, [r9 + SLOT_R10]
        mov     r9, [r9 + SLOT_R9]
        jmp     .Lmade
.Lclone3:
        lea     rdi, [r11 + SLOT_CLONE_ARGS]
        mov     esi, CLONE_ARGS_SIZE
.Lretry:
        mov     eax, NR_CLONE3
        syscall
.Lmade:
        mov     rcx, rax
        jrcxz   .Lto_child
        /* The top byte is 0 for a pid and 0xff for a -errno: no compare is needed. */
        bswap   rcx
        movzx   ecx, cl
        jrcxz   .Lparent

        /* Asks the supervisor what to do with the result: clone2(slot args, result + bias). */
.Lreport:
        lea     rsi, [rax + REPORT_BIAS]
.Lreport_again:
        mov     eax, [rdi + (SLOT_NR - SLOT_CLONE_ARGS)]
        syscall
        jmp     .Lreport_answer
clone2_trampoline_report_mark:
        .quad   MARK_REPORT, 0          /* patched: a word of the signature */
.Lreport_answer:
        lea     rcx, [rax + EINTR]      /* a handler without SA_RESTART ran */
        jrcxz   .Lreport_again
        lea     rcx, [rsi - REPORT_BIAS]
        bswap   rcx
        movzx   ecx, cl
        jrcxz   .Lreported_success      /* whatever the answer: the child exists */
        mov     rcx, rax
        jrcxz   .Lretry_load            /* 0: other pids are in the slot now */
        mov     ecx, [rdi + (SLOT_PARENT_BUSY - SLOT_CLONE_ARGS)]
        jrcxz   .Lparent_end            /* a spare slot: read-only */
        /* No child exists that would clear it. */
        mov     dword ptr [rdi + (SLOT_CHILD_BUSY - SLOT_CLONE_ARGS)], 0
        jmp     .Lparent_end
.Lto_child:                             /* jrcxz does not reach further */
        jmp     .Lchild
.Lretry_load:
        mov     esi, CLONE_ARGS_SIZE
        jmp     .Lretry
.Lreported_success:
        lea     rax, [rsi - REPORT_BIAS]
        jmp     .Lparent_end

.Lparent:
        movzx   ecx, word ptr [rdi + (SLOT_REPORT - SLOT_CLONE_ARGS)]
        jrcxz   .Lparent_end
        jmp     .Lreport
.Lparent_end:
        lea     r11, [rdi - SLOT_CLONE_ARGS]
        mov     rsi, [r11 + SLOT_RSI]
        mov     rdi, [r11 + SLOT_RDI]
        mov     ecx, [r11 + SLOT_PARENT_BUSY]
        jrcxz   .Lleave                 /* a spare slot: read-only, the supervisor frees it */
        mov     rcx, [r11 + SLOT_RET]
        mov     dword ptr [r11 + SLOT_PARENT_BUSY], 0
        jmp     rcx

.Lchild:
        /* A stack pointer that clone3 can't express (see plan/core.h). After clone(2) it is the
         * same as before. */
        mov     rcx, [rdi + (SLOT_CHILD_SP - SLOT_CLONE_ARGS)]
        jrcxz   .Lchild_stack_done
        mov     rsp, rcx
.Lchild_stack_done:
        lea     r11, [rdi - SLOT_CLONE_ARGS]
        mov     rsi, [r11 + SLOT_RSI]
        mov     rdi, [r11 + SLOT_RDI]
        mov     ecx, [r11 + SLOT_CHILD_BUSY]
        jrcxz   .Lleave                 /* separate memory: a store would only copy a page */
        mov     rcx, [r11 + SLOT_RET]
        mov     dword ptr [r11 + SLOT_CHILD_BUSY], 0
        jmp     rcx
.Lleave:
        mov     rcx, [r11 + SLOT_RET]
        jmp     rcx

        /* The first call of an image. In: r11 = boot slot (read-only for this code). Maps the area
         * for the slots, reports its address to the supervisor, and continues the call. */
clone2_trampoline_boot:
        mov     r8, r11                 /* fd: ignored with MAP_ANONYMOUS, so it carries */
        mov     edi, 0
        mov     esi, AREA_SIZE
        mov     edx, PROT_READ_WRITE
        mov     r10d, MAP_PRIVATE_ANONYMOUS
        mov     r9d, 0
        mov     eax, NR_MMAP
        syscall
        mov     rsi, rax
        mov     rdi, r8
        mov     rdx, [rdi + BOOT_RDX]
        mov     r10, [rdi + BOOT_R10]
        mov     r9, [rdi + BOOT_R9]
        mov     r8, [rdi + BOOT_R8]
.Lboot_report:
        mov     eax, [rdi + BOOT_NR]
        syscall
        jmp     .Lboot_answer
clone2_trampoline_boot_report_mark:
        .quad   MARK_BOOT_REPORT, 0
.Lboot_answer:
        lea     rcx, [rax + EINTR]
        jrcxz   .Lboot_report
        mov     rcx, rax
        bswap   rcx
        movzx   ecx, cl
        jrcxz   .Lboot_ok
        mov     rcx, [rdi + BOOT_RET]
        mov     rsi, [rdi + BOOT_RSI]
        mov     rdi, [rdi + BOOT_RDI]
        jmp     rcx
.Lboot_ok:
        mov     r11, rax                /* the answer is the address of the call's slot */
        jmp     clone2_trampoline_call

clone2_trampoline_end:
        .section .note.GNU-stack, "", @progbits
