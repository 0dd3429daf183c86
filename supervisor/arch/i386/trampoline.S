/* SPDX-License-Identifier: MIT */
/*
 * The code that runs inside an i386 target. It is never executed in the supervisor: it is copied,
 * position independent, into a private page of the target.
 *
 * The rules are those of the x86-64 code. Two of them are stricter here:
 *  - only eax may be left changed: a system call clobbers nothing else. So the slot comes in eax,
 *    and the program's registers are all in the slot;
 *  - no register is left for the way out. The last one, ebp, is exchanged with the slot's word by
 *    the instruction that frees the slot, and the jump after it is a direct one. Each place in the
 *    program that makes the call has such a pair, an exit: the supervisor writes it next to this
 *    code, once, and the slot holds its address.
 *
 * i386 has three ways into the kernel: int $0x80, and the vdso's sysenter and syscall. All three
 * return to an instruction that follows int $0x80, with the registers of int $0x80.
 */
#include "arch/i386/slot_layout.h"
#include "arch/marks.h"

        .intel_syntax noprefix
        .section .rodata.clone2_i386_trampoline, "a", @progbits
        .balign 16
        .code32

        .globl  clone2_i386_begin, clone2_i386_end
        .globl  clone2_i386_call, clone2_i386_boot
        .globl  clone2_i386_report_mark, clone2_i386_boot_report_mark
        .hidden clone2_i386_begin, clone2_i386_end
        .hidden clone2_i386_call, clone2_i386_boot
        .hidden clone2_i386_report_mark, clone2_i386_boot_report_mark

clone2_i386_begin:
        /* Signature, patched by the supervisor before the copy: identifies this copy as ours. */
        .quad   0, 0
        /* Address of the area, written by the supervisor when it is known. */
        .quad   0

        /* One call. In: eax = the call's slot. The rest is as the program left it. */
clone2_i386_call:
        mov     ebp, eax
.Lretry:
        mov     ecx, [ebp + I386_PLAIN]
        jecxz   .Lclone3
        mov     ebx, [ebp + I386_CLONE_ARGS + I386_ARGS_FLAGS]
        mov     ecx, [ebp + I386_CHILD_SP]
        mov     edx, [ebp + I386_CLONE_ARGS + I386_ARGS_PARENT_TID]
        mov     esi, [ebp + I386_CLONE_ARGS + I386_ARGS_TLS]
        mov     edi, [ebp + I386_CLONE_ARGS + I386_ARGS_CHILD_TID]
        mov     eax, I386_NR_CLONE
        jmp     .Lmake
.Lclone3:
        lea     ebx, [ebp + I386_CLONE_ARGS]
        mov     ecx, I386_CLONE_ARGS_SIZE
        mov     eax, I386_NR_CLONE3
.Lmake:
        int     0x80
        mov     ecx, eax
        jecxz   .Lchild
        /* The top byte is 0 for a pid and 0xff for a -errno: no compare is needed. */
        bswap   ecx
        movzx   ecx, cl
        jecxz   .Lparent

        /* Asks the supervisor what to do with the result: clone2(slot args, result + bias). */
.Lreport:
        mov     esi, eax
        lea     ebx, [ebp + I386_CLONE_ARGS]
        mov     edx, [ebp + I386_EDX]   /* as the program has it: a filter may look at it */
.Lreport_again:
        lea     ecx, [esi + REPORT_BIAS]
        mov     eax, [ebp + I386_NR]
        int     0x80
        jmp     .Lreport_answer
clone2_i386_report_mark:
        .quad   MARK_REPORT, 0          /* patched: a word of the signature */
.Lreport_answer:
        lea     ecx, [eax + I386_EINTR] /* a handler without SA_RESTART came in between */
        jecxz   .Lreport_again
        mov     ecx, esi
        bswap   ecx
        movzx   ecx, cl
        jecxz   .Lreported_success      /* whatever the answer: the child exists */
        mov     ecx, eax
        jecxz   .Lretry                 /* 0: other pids are in the slot now */
        /* No child exists that would free its part of the slot. */
        mov     ecx, [ebp + I386_SELF]
        mov     [ebp + I386_EBP_CHILD], ecx
        jmp     .Lparent_end
.Lreported_success:
        mov     eax, esi
        jmp     .Lparent_end

.Lparent:
        mov     ecx, [ebp + I386_REPORT]
        jecxz   .Lparent_end
        jmp     .Lreport
.Lparent_end:
        mov     ebx, [ebp + I386_EBX]
        mov     ecx, [ebp + I386_ECX]
        mov     edx, [ebp + I386_EDX]
        mov     esi, [ebp + I386_ESI]
        mov     edi, [ebp + I386_EDI]
        jmp     dword ptr [ebp + I386_EXIT_PARENT]

.Lchild:
        /* A stack pointer that clone3 can't express (see planner): set here. */
        mov     ecx, [ebp + I386_CHILD_SP]
        jecxz   .Lchild_end
        mov     esp, ecx
.Lchild_end:
        mov     ebx, [ebp + I386_EBX]
        mov     ecx, [ebp + I386_ECX]
        mov     edx, [ebp + I386_EDX]
        mov     esi, [ebp + I386_ESI]
        mov     edi, [ebp + I386_EDI]
        jmp     dword ptr [ebp + I386_EXIT_CHILD]

        /* First call of an image. In: eax = boot slot (read-only for this code). Maps the area of
         * the slots, reports where it is, and makes the call. */
clone2_i386_boot:
        mov     ebp, eax
        lea     ebx, [ebp + I386_BOOT_MMAP]
        mov     eax, I386_NR_MMAP
        int     0x80
        mov     esi, eax
        mov     ebx, ebp
.Lboot_report:
        mov     ecx, esi
        mov     eax, [ebp + I386_BOOT_NR]
        int     0x80
        jmp     .Lboot_answer
clone2_i386_boot_report_mark:
        .quad   MARK_BOOT_REPORT, 0
.Lboot_answer:
        lea     ecx, [eax + I386_EINTR]
        jecxz   .Lboot_report
        mov     ecx, eax
        bswap   ecx
        movzx   ecx, cl
        jecxz   .Lboot_ok
        mov     ebx, [ebp + I386_BOOT_EBX]
        mov     ecx, [ebp + I386_BOOT_ECX]
        mov     esi, [ebp + I386_BOOT_ESI]
        jmp     dword ptr [ebp + I386_BOOT_EXIT]
.Lboot_ok:
        /* The answer is the slot's offset in the area: an address may look like a -errno. */
        lea     eax, [esi + eax]
        jmp     clone2_i386_call

clone2_i386_end:
        .section .note.GNU-stack, "", @progbits
