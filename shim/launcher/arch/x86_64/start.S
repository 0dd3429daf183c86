// SPDX-License-Identifier: MIT
// The kernel's entry point: argc, argv and the environment are on the stack (System V ABI, x86-64
// supplement, "Initial Stack and Register State").
    .globl _start
    .type _start, @function
_start:
    xorl %ebp, %ebp             // the outermost frame
    movq %rsp, %rdi
    andq $-16, %rsp
    call shim_main
    ud2                         // shim_main never returns
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
