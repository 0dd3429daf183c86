// SPDX-License-Identifier: MIT
// Offsets for call.S; arch.c checks them against the C structs at compile time.
#ifndef CONFORMANCE_ARCH_OFFSETS_H
#define CONFORMANCE_ARCH_OFFSETS_H

// struct arch_state
#define RAX 0
#define RBX 8
#define RCX 16
#define RDX 24
#define RSI 32
#define RDI 40
#define RBP 48
#define RSP 56
#define R8 64
#define R9 72
#define R10 80
#define R11 88
#define R12 96
#define R13 104
#define R14 112
#define R15 120
#define RFLAGS 128
#define FS_BASE 136
#define GS_BASE 144
#define SCRATCH 152
#define FX 192
#define YMM 704
#define STATE_SIZE 1216

// struct arch_call; its first member is the input state
#define OUT_PARENT STATE_SIZE
#define OUT_CHILD (2 * STATE_SIZE)
#define SAVED_RBX (3 * STATE_SIZE)
#define SAVED_RBP (3 * STATE_SIZE + 8)
#define SAVED_R12 (3 * STATE_SIZE + 16)
#define SAVED_R13 (3 * STATE_SIZE + 24)
#define SAVED_R14 (3 * STATE_SIZE + 32)
#define SAVED_R15 (3 * STATE_SIZE + 40)
#define SAVED_RSP (3 * STATE_SIZE + 48)
#define SAVED_RIP (3 * STATE_SIZE + 56)
#define CHILD (3 * STATE_SIZE + 64)
#define USE_AVX (3 * STATE_SIZE + 72)
#define BY_FUNCTION (3 * STATE_SIZE + 76)

// struct arch_syscall
#define SYSCALL_NR 0
#define SYSCALL_ARG 8

#define BY_LIBC 1 // ARCH_BY_LIBC
#define SYS_EXIT 60
#define SYS_ARCH_PRCTL 158
#define ARCH_GET_FS_CODE 0x1003
#define ARCH_GET_GS_CODE 0x1004

#endif
