// SPDX-License-Identifier: MIT
// x86-64: patterns for all registers, and the comparison after the call.
#include "arch.h"
#include "arch/x86/registers.h"
#include "offsets.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

_Static_assert(offsetof(struct arch_state, gpr) == RAX, "RAX");
_Static_assert(offsetof(struct arch_state, rflags) == RFLAGS, "RFLAGS");
_Static_assert(offsetof(struct arch_state, fs_base) == FS_BASE, "FS_BASE");
_Static_assert(offsetof(struct arch_state, gs_base) == GS_BASE, "GS_BASE");
_Static_assert(offsetof(struct arch_state, scratch) == SCRATCH, "SCRATCH");
_Static_assert(offsetof(struct arch_state, fx) == FX, "FX");
_Static_assert(offsetof(struct arch_state, ymm) == YMM, "YMM");
_Static_assert(sizeof(struct arch_state) == STATE_SIZE, "STATE_SIZE");
_Static_assert(offsetof(struct arch_call, out) == OUT_PARENT, "OUT_PARENT");
_Static_assert(offsetof(struct arch_call, saved) == SAVED_RBX, "SAVED_RBX");
_Static_assert(offsetof(struct arch_call, child) == CHILD, "CHILD");
_Static_assert(offsetof(struct arch_call, use_avx) == USE_AVX, "USE_AVX");
_Static_assert(offsetof(struct arch_call, by_function) == BY_FUNCTION, "BY_FUNCTION");
_Static_assert(ARCH_BY_LIBC == BY_LIBC, "BY_LIBC");
_Static_assert(offsetof(struct arch_syscall, nr) == SYSCALL_NR, "SYSCALL_NR");
_Static_assert(offsetof(struct arch_syscall, arg) == SYSCALL_ARG, "SYSCALL_ARG");

long arch_call_rbx(struct arch_call *c);
long arch_call_r14(struct arch_call *c);
long arch_function_rbx(struct arch_call *c);
long arch_function_r14(struct arch_call *c);
long arch_int80_r14(struct arch_call *c);
extern const char arch_returned_rbx[];
extern const char arch_returned_r14[];

const uintptr_t arch_bad_addresses[] = {
    0,
    1,
    8,
    4095,
    ARCH_USER_END - 4096, // the last page of user space is never mapped
    ARCH_USER_END - 8,
    ARCH_USER_END,
    ARCH_USER_END + 4096,
    1ULL << 48,
    0x5a5a5a5a5a5a5a5aULL,
    1ULL << 63,
    0xffff800000000000ULL,
    0xffffffff81000000ULL,
    0xffffffffff600000ULL, // the kernel's copy can't read the vsyscall page
    0xfffffffffffff000ULL,
    0xffffffffffffffd8ULL,
    0xfffffffffffffff8ULL,
    0xffffffffffffffffULL,
};
const size_t arch_bad_addresses_count = sizeof arch_bad_addresses / sizeof arch_bad_addresses[0];

const uintptr_t arch_bad_tls[] = {1ULL << 63, 0xffffffffffffffffULL, 0xffff800000000000ULL};
const size_t arch_bad_tls_count = sizeof arch_bad_tls / sizeof arch_bad_tls[0];

enum { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15 };

static const char *const gpr_name[16] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// What a function must preserve: rbx, rbp, rsp, r12-r15, DF (which must be 0), and the control bits
// of x87 and mxcsr.
#define KEPT_BY_FUNCTIONS                                                                          \
    (1U << rbx | 1U << rbp | 1U << rsp | 1U << r12 | 1U << r13 | 1U << r14 | 1U << r15)

static uint64_t segment_base(uint64_t code)
{
    uint64_t value = 0;
    arch_raw(SYS_arch_prctl, code, (uint64_t)(uintptr_t)&value, 0, 0, 0, 0);
    return value;
}

uint64_t arch_tls_argument(void *at)
{
    uint64_t value = (uint64_t)(uintptr_t)at;
    memcpy(at, &value, sizeof value); // what a thread pointer points at: itself
    return value;
}

uint64_t arch_tls_base(uint64_t argument)
{
    return argument;
}

int arch_by_function(const char *name)
{
    if (strcmp(name, "libc") == 0) {
        return ARCH_BY_LIBC;
    }
    return strcmp(name, "int80") == 0 ? ARCH_BY_INT80 : -1;
}

const char *arch_leaves_out(int by, const char *check)
{
    static const char *const with_int80[][2] = {
        {"libc-syscall", "it makes x86-64 calls"},
        {"child-pops", "it makes x86-64 calls"},
        {"settls", "CLONE_SETTLS takes a struct user_desc"},
        {"single-flags", "CLONE_SETTLS takes a struct user_desc"},
        {"pair-flags", "CLONE_SETTLS takes a struct user_desc"},
        {"thread-flags", "CLONE_SETTLS takes a struct user_desc"},
        {"random-flags", "CLONE_SETTLS takes a struct user_desc"},
        {"fuzz", "CLONE_SETTLS takes a struct user_desc"},
    };
    for (size_t i = 0; by == ARCH_BY_INT80 && i < sizeof with_int80 / sizeof with_int80[0]; i++) {
        if (strcmp(with_int80[i][0], check) == 0) {
            return with_int80[i][1];
        }
    }
    return NULL;
}

void arch_prepare(struct arch_call *c, const struct arch_syscall *s, uint64_t seed)
{
    memset(c->out, 0x5a, offsetof(struct arch_state, scratch));
    memset(&c->out[1], 0x5a, offsetof(struct arch_state, scratch));
    for (int i = 0; i < 16; i++) {
        c->in.gpr[i] = next_random(&seed);
    }
    c->in.gpr[rax] = (uint64_t)s->nr;
    static const int registers[6] = {rdi, rsi, rdx, r10, r8, r9};
    static const int registers_of_i386[6] = {rbx, rcx, rdx, rsi, rdi, rbp};
    const int int80 = s->by_function == ARCH_BY_INT80;
    for (int i = 0; i < 6; i++) {
        if (!s->arg[i] && !(s->given >> i & 1)) {
            continue;
        }
        if (int80) { // the upper half means nothing
            c->in.gpr[registers_of_i386[i]] = (uint32_t)s->arg[i] | next_random(&seed) << 32;
        } else {
            c->in.gpr[registers[i]] = s->arg[i];
        }
    }
    c->in.gpr[rsp] = s->sp;
    c->in.gpr[(seed & 1) && !int80 ? rbx : r14] = (uint64_t)(uintptr_t)c;
    c->in.rflags = 0x202 | (next_random(&seed) & FLAGS_MASK);
    c->in.gs_base = segment_base(ARCH_GET_GS_CODE);
    c->in.fs_base = segment_base(ARCH_GET_FS_CODE);
    fill_fx(c->in.fx, c->in.ymm, 16, &seed);
    c->use_avx = cpu_has_avx();
    c->by_function = (uint32_t)s->by_function;
    if (ARCH_IS_FUNCTION(c->by_function)) {
        c->in.rflags &= ~DIRECTION_FLAG;
        c->in.fx[4] = 0; // functions are called with an empty x87 stack
    }
}

static int base_is_rbx(const struct arch_call *c)
{
    return c->in.gpr[rbx] == (uint64_t)(uintptr_t)c;
}

uint64_t arch_prepare_function_stack(struct arch_call *c, uint64_t *at)
{
    *at = (uint64_t)(uintptr_t)(base_is_rbx(c) ? arch_returned_rbx : arch_returned_r14);
    return (uint64_t)(uintptr_t)at;
}

uint64_t arch_sp_after_return(const struct arch_call *c, uint64_t child_stack)
{
    (void)c;
    return child_stack + 8;
}

long arch_perform(struct arch_call *c)
{
    if (c->by_function == ARCH_BY_INT80) {
        return arch_int80_r14(c);
    }
    if (base_is_rbx(c)) {
        return c->by_function ? arch_function_rbx(c) : arch_call_rbx(c);
    }
    return c->by_function ? arch_function_r14(c) : arch_call_r14(c);
}

int arch_compare(const struct arch_call *c, int who, uint64_t sp, uint64_t tls, char *why,
                 size_t size)
{
    const struct arch_state *in = &c->in;
    const struct arch_state *out = &c->out[who];
    const int function = ARCH_IS_FUNCTION(c->by_function);
    for (int i = 0; i < 16; i++) {
        if (i == rax || ((i == rcx || i == r11) && c->by_function != ARCH_BY_INT80)) {
            continue; // any system call may change these
        }
        if (function && !(KEPT_BY_FUNCTIONS & (1U << i))) {
            continue;
        }
        if (differ(why, size, gpr_name[i], i == rsp ? sp : in->gpr[i], out->gpr[i])) {
            return -1;
        }
    }
    const uint64_t flags = function ? DIRECTION_FLAG : FLAGS_MASK;
    if (differ(why, size, "rflags", in->rflags & flags, out->rflags & flags) ||
        differ(why, size, "fs base", tls ? tls : in->fs_base, out->fs_base) ||
        differ(why, size, "gs base", in->gs_base, out->gs_base)) {
        return -1;
    }
    return function
               ? differ_fx_control(why, size, in->fx, out->fx)
               : differ_fx(why, size, in->fx, out->fx, c->use_avx ? in->ymm : NULL, out->ymm, 16);
}
