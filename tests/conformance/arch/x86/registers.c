// SPDX-License-Identifier: MIT
#include "arch/x86/registers.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#define MXCSR_CONTROL 0xffc0U

uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint32_t cpu_has_avx(void)
{
    static int known = -1;
    if (known < 0) {
        unsigned a, b, c, d;
        known = 0;
        if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE) && (c & bit_AVX)) {
            uint32_t low, high;
            __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
            known = (low & 6) == 6;
        }
    }
    return (uint32_t)known;
}

// fxsave layout: fcw 0, fsw 2, ftw 4, mxcsr 24, st(i) 32 + 16 i (10 bytes), xmm(i) 160 + 16 i.
// The x87 instruction and data pointers stay 0: some processors don't preserve them.
void fill_fx(unsigned char *fx, unsigned char (*ymm)[32], int count, uint64_t *seed)
{
    memset(fx, 0, 512);
    static const uint16_t control[4] = {0x037f, 0x077f, 0x0b7f, 0x0f7f};
    uint16_t fcw = control[next_random(seed) & 3];
    uint16_t fsw = 0x3800; // top 7: one value on the stack
    uint32_t mxcsr = 0x1f80 | (uint32_t)(next_random(seed) & 0x603f);
    memcpy(fx, &fcw, 2);
    memcpy(fx + 2, &fsw, 2);
    fx[4] = 0x80;
    memcpy(fx + 24, &mxcsr, 4);
    for (int i = 0; i < 8; i++) {
        uint64_t mantissa = next_random(seed) | (1ULL << 63);
        uint16_t exponent = 0x3fff;
        memcpy(fx + 32 + 16 * i, &mantissa, 8);
        memcpy(fx + 40 + 16 * i, &exponent, 2);
    }
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < 4; j++) {
            uint64_t v = next_random(seed);
            memcpy(ymm[i] + 8 * j, &v, 8);
        }
        memcpy(fx + 160 + 16 * i, ymm[i], 16);
    }
}

int differ(char *why, size_t size, const char *name, uint64_t want, uint64_t got)
{
    if (want == got) {
        return 0;
    }
    snprintf(why, size, "%s: expected 0x%llx, got 0x%llx", name, (unsigned long long)want,
             (unsigned long long)got);
    return -1;
}

static int differ_bytes(char *why, size_t size, const char *name, int index, const void *want,
                        const void *got, size_t n)
{
    if (memcmp(want, got, n) == 0) {
        return 0;
    }
    uint64_t a = 0;
    uint64_t b = 0;
    memcpy(&a, want, n < 8 ? n : 8);
    memcpy(&b, got, n < 8 ? n : 8);
    snprintf(why, size, "%s%d: expected 0x%llx..., got 0x%llx... (%zu bytes compared)", name, index,
             (unsigned long long)a, (unsigned long long)b, n);
    return -1;
}

int differ_fx(char *why, size_t size, const unsigned char *want, const unsigned char *got,
              const unsigned char (*want_ymm)[32], const unsigned char (*got_ymm)[32], int count)
{
    if (differ_bytes(why, size, "x87 control word ", 0, want, got, 2) ||
        differ_bytes(why, size, "x87 status word ", 0, want + 2, got + 2, 2) ||
        differ_bytes(why, size, "x87 tag word ", 0, want + 4, got + 4, 1) ||
        differ_bytes(why, size, "mxcsr ", 0, want + 24, got + 24, 4)) {
        return -1;
    }
    for (int i = 0; i < 8; i++) {
        if (differ_bytes(why, size, "st", i, want + 32 + 16 * i, got + 32 + 16 * i, 10)) {
            return -1;
        }
    }
    for (int i = 0; i < count; i++) {
        if (differ_bytes(why, size, "xmm", i, want + 160 + 16 * i, got + 160 + 16 * i, 16)) {
            return -1;
        }
        if (want_ymm && differ_bytes(why, size, "ymm", i, want_ymm[i], got_ymm[i], 32)) {
            return -1;
        }
    }
    return 0;
}

int differ_fx_control(char *why, size_t size, const unsigned char *want, const unsigned char *got)
{
    uint32_t want_mxcsr;
    uint32_t got_mxcsr;
    memcpy(&want_mxcsr, want + 24, 4);
    memcpy(&got_mxcsr, got + 24, 4);
    if (differ_bytes(why, size, "x87 control word ", 0, want, got, 2) ||
        differ(why, size, "mxcsr control bits", want_mxcsr & MXCSR_CONTROL,
               got_mxcsr & MXCSR_CONTROL)) {
        return -1;
    }
    return 0;
}
