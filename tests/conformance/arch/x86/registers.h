// SPDX-License-Identifier: MIT
// What x86-64 and i386 have in common: flags, and the x87, SSE and AVX registers.
#ifndef CONFORMANCE_ARCH_X86_REGISTERS_H
#define CONFORMANCE_ARCH_X86_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

// CF PF AF ZF SF DF OF: the flags that a program can set without side effects.
#define FLAGS_MASK 0xcd5U
#define DIRECTION_FLAG 0x400U

uint64_t next_random(uint64_t *state);
uint32_t cpu_has_avx(void);

// Patterns for the area that fxrstor loads and for the first `count` ymm registers.
void fill_fx(unsigned char *fx, unsigned char (*ymm)[32], int count, uint64_t *seed);

// 0 if both are the same, else -1 with the difference in why.
int differ(char *why, size_t size, const char *name, uint64_t want, uint64_t got);
// The same for all that fxsave stores and, if `ymm` is not NULL, `count` ymm registers.
int differ_fx(char *why, size_t size, const unsigned char *want, const unsigned char *got,
              const unsigned char (*want_ymm)[32], const unsigned char (*got_ymm)[32], int count);
// The same for what a function must preserve: the control bits of x87 and mxcsr.
int differ_fx_control(char *why, size_t size, const unsigned char *want, const unsigned char *got);

#endif
