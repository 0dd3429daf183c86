/* SPDX-License-Identifier: MIT */
/*
 * The code that runs inside a 64-bit target whose i386 calls (int $0x80) are served. It is never
 * executed in the supervisor: it is copied, position independent, into a private page of the
 * target.
 *
 * It does what the i386 code does, under the same rules, in 64-bit mode: the child must be born in
 * it, with all of the program's 64-bit registers. So:
 *  - its system calls are int $0x80, too: only these give clone i386's meaning (CLONE_SETTLS), and
 *    they change rax alone;
 *  - what they point to lies below 4 GiB, as the area does that an i386 mmap has mapped. The boot
 *    slot does not: it is reported as a part of its address;
 *  - the exits jump by an address in memory, because the program is too far away for a direct jump.
 */
#include "arch/int80/slot_layout.h"
#include "arch/marks.h"

        .intel_syntax noprefix
        .section .rodata.clone2_int80_trampoline, "a", @progbits
        .balign 16
        .code64

        .globl  clone2_int80_begin, clone2_int80_end
        .globl  clone2_int80_call, clone2_int80_boot
        .globl  clone2_int80_report_mark, clone2_int80_boot_report_mark
        .hidden clone2_int80_begin, clone2_int80_end
        .hidden clone2_int80_call, clone2_int80_boot
        .hidden clone2_int80_report_mark, clone2_int80_boot_report_mark

        .macro  RESTORE from
        mov     rbx, [\from + INT80_RBX]
        mov     rcx, [\from + INT80_RCX]
        mov     rdx, [\from + INT80_RDX]
        mov     rsi, [\from + INT80_RSI]
        mov     rdi, [\from + INT80_RDI]
        .endm

clone2_int80_begin:
        /* Signature, patched by the supervisor before the copy: identifies this copy as ours. */
        .quad   0, 0
        /* Address of the area, written by the supervisor when it is known. */
        .quad   0

        /* One call. In: rax = the call's slot. The rest is in the slot. */
clone2_int80_call:
        mov     rbp, rax
.Lretry:
        mov     ecx, [rbp + INT80_PLAIN]
        jrcxz   .Lclone3
        mov     ebx, [rbp + INT80_CLONE_ARGS + INT80_ARGS_FLAGS]
        mov     ecx, [rbp + INT80_CHILD_SP]
        mov     edx, [rbp + INT80_CLONE_ARGS + INT80_ARGS_PARENT_TID]
        mov     esi, [rbp + INT80_CLONE_ARGS + INT80_ARGS_TLS]
        mov     edi, [rbp + INT80_CLONE_ARGS + INT80_ARGS_CHILD_TID]
        mov     eax, INT80_NR_CLONE
        jmp     .Lmake
.Lclone3:
        lea     ebx, [rbp + INT80_CLONE_ARGS]
        mov     ecx, INT80_CLONE_ARGS_SIZE
        mov     eax, INT80_NR_CLONE3
.Lmake:
        int     0x80
        mov     ecx, eax
        jrcxz   .Lto_child
        /* The top byte is 0 for a pid and 0xff for a -errno: no compare is needed. */
        bswap   ecx
        movzx   ecx, cl
        jrcxz   .Lparent

        /* Asks the supervisor what to do with the result: clone2(slot args, result + bias). */
.Lreport:
        mov     esi, eax
        lea     ebx, [rbp + INT80_CLONE_ARGS]
        mov     edx, [rbp + INT80_RDX]  /* as the program has it: a filter may look at it */
.Lreport_again:
        lea     ecx, [rsi + REPORT_BIAS]
        mov     eax, [rbp + INT80_NR]
        int     0x80
        jmp     .Lreport_answer
clone2_int80_report_mark:
        .quad   MARK_REPORT, 0          /* patched: a word of the signature */
.Lto_child:                             /* jrcxz does not reach further */
        jmp     .Lchild
.Lto_retry:
        jmp     .Lretry
.Lreport_answer:
        lea     ecx, [rax + INT80_EINTR] /* a handler without SA_RESTART came in between */
        jrcxz   .Lreport_again
        mov     ecx, esi
        bswap   ecx
        movzx   ecx, cl
        jrcxz   .Lreported_success      /* whatever the answer: the child exists */
        mov     ecx, eax
        jrcxz   .Lto_retry              /* 0: other pids are in the slot now */
        /* No child exists that would free its part of the slot. */
        mov     rcx, [rbp + INT80_SELF]
        mov     [rbp + INT80_RBP_CHILD], rcx
        jmp     .Lparent_end
.Lreported_success:
        mov     eax, esi
        jmp     .Lparent_end

.Lparent:
        mov     ecx, [rbp + INT80_REPORT]
        jrcxz   .Lparent_end
        jmp     .Lreport
.Lparent_end:
        RESTORE rbp
        jmp     qword ptr [rbp + INT80_EXIT_PARENT]

.Lchild:
        /* A stack pointer that clone3 can't express (see planner): set here. */
        mov     ecx, [rbp + INT80_CHILD_SP]
        jrcxz   .Lchild_end
        mov     esp, ecx
.Lchild_end:
        RESTORE rbp
        jmp     qword ptr [rbp + INT80_EXIT_CHILD]

        /* First call of an image. In: rax = boot slot (read-only for this code). Maps the area of
         * the slots, reports where it is, and makes the call. */
clone2_int80_boot:
        mov     rbp, rax                /* an offset for mmap2: ignored with MAP_ANONYMOUS */
        mov     ebx, 0
        mov     ecx, INT80_AREA_SIZE
        mov     edx, INT80_PROT_READ_WRITE
        mov     esi, INT80_MAP_PRIVATE_ANONYMOUS
        mov     edi, -1
        mov     eax, INT80_NR_MMAP2
        int     0x80
        mov     edi, eax
        mov     ebx, INT80_AN_ADDRESS
        mov     edx, [rbp + INT80_RDX]
        mov     esi, ebp
.Lboot_report:
        mov     ecx, edi
        mov     eax, [rbp + INT80_BOOT_NR]
        int     0x80
        jmp     .Lboot_answer
clone2_int80_boot_report_mark:
        .quad   MARK_BOOT_REPORT, 0
.Lboot_answer:
        lea     ecx, [rax + INT80_EINTR]
        jrcxz   .Lboot_report
        mov     ecx, eax
        bswap   ecx
        movzx   ecx, cl
        jrcxz   .Lboot_ok
        RESTORE rbp
        jmp     qword ptr [rbp + INT80_BOOT_EXIT]
.Lboot_ok:
        /* The answer is the slot's offset in the area: an address may look like a -errno. */
        lea     eax, [rdi + rax]
        jmp     clone2_int80_call

clone2_int80_end:
        .section .note.GNU-stack, "", @progbits
