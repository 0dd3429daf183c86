/* SPDX-License-Identifier: MIT */
/* std::int32_t clone2_int80_trial(int number, const std::uint64_t args[6]): an i386 call of this
 * 64-bit process. */
        .intel_syntax noprefix
        .text
        .globl  clone2_int80_trial
        .hidden clone2_int80_trial
        .type   clone2_int80_trial, @function
clone2_int80_trial:
        push    rbx
        push    rbp
        mov     eax, edi
        mov     r8, rsi
        mov     rbx, [r8]
        mov     rcx, [r8 + 8]
        mov     rdx, [r8 + 16]
        mov     rsi, [r8 + 24]
        mov     rdi, [r8 + 32]
        mov     rbp, [r8 + 40]
        int     0x80                    /* before 4.17 the kernel clears r8 to r11 */
        pop     rbp
        pop     rbx
        ret
        .size   clone2_int80_trial, . - clone2_int80_trial
        .section .note.GNU-stack, "", @progbits
