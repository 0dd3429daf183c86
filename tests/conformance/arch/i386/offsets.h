// SPDX-License-Identifier: MIT
// Offsets for call.S; arch.c checks them against the C structs at compile time.
#ifndef CONFORMANCE_ARCH_OFFSETS_H
#define CONFORMANCE_ARCH_OFFSETS_H

// struct arch_state
#define EAX 0
#define EBX 4
#define ECX 8
#define EDX 12
#define ESI 16
#define EDI 20
#define EBP 24
#define ESP 28
#define EFLAGS 32
#define DS 36
#define ES 40
#define FS 44
#define GS 48
#define TLS 52
#define SCRATCH 68
#define FX 128
#define YMM 640
#define STATE_SIZE 896

// struct arch_call; its first member is the input state
#define OUT_PARENT STATE_SIZE
#define OUT_CHILD (2 * STATE_SIZE)
#define SAVED_EBX (3 * STATE_SIZE)
#define SAVED_ESI (3 * STATE_SIZE + 4)
#define SAVED_EDI (3 * STATE_SIZE + 8)
#define SAVED_EBP (3 * STATE_SIZE + 12)
#define SAVED_ESP (3 * STATE_SIZE + 16)
#define SAVED_EIP (3 * STATE_SIZE + 20)
#define CHILD (3 * STATE_SIZE + 24)
#define FUNCTION (3 * STATE_SIZE + 28)
#define USE_AVX (3 * STATE_SIZE + 32)
#define ARGS (3 * STATE_SIZE + 40)

// struct arch_syscall
#define SYSCALL_NR 0
#define SYSCALL_ARG 4

#define SYS_EXIT 1
#define SYS_GET_THREAD_AREA 244

#endif
