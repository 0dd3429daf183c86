// SPDX-License-Identifier: MIT
// i386: patterns for all registers, and the comparison after the call.
#include "arch.h"
#include "arch/x86/registers.h"
#include "offsets.h"

#include <asm/ldt.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(offsetof(struct arch_state, gpr) == EAX, "EAX");
_Static_assert(offsetof(struct arch_state, eflags) == EFLAGS, "EFLAGS");
_Static_assert(offsetof(struct arch_state, segment) == DS, "DS");
_Static_assert(offsetof(struct arch_state, tls) == TLS, "TLS");
_Static_assert(offsetof(struct arch_state, scratch) == SCRATCH, "SCRATCH");
_Static_assert(offsetof(struct arch_state, fx) == FX, "FX");
_Static_assert(offsetof(struct arch_state, ymm) == YMM, "YMM");
_Static_assert(sizeof(struct arch_state) == STATE_SIZE, "STATE_SIZE");
_Static_assert(offsetof(struct arch_call, out) == OUT_PARENT, "OUT_PARENT");
_Static_assert(offsetof(struct arch_call, saved) == SAVED_EBX, "SAVED_EBX");
_Static_assert(offsetof(struct arch_call, child) == CHILD, "CHILD");
_Static_assert(offsetof(struct arch_call, function) == FUNCTION, "FUNCTION");
_Static_assert(offsetof(struct arch_call, use_avx) == USE_AVX, "USE_AVX");
_Static_assert(offsetof(struct arch_call, args) == ARGS, "ARGS");
_Static_assert(sizeof(struct user_desc) == sizeof((struct arch_state *)0)->tls, "user_desc");
_Static_assert(offsetof(struct arch_syscall, nr) == SYSCALL_NR, "SYSCALL_NR");
_Static_assert(offsetof(struct arch_syscall, arg) == SYSCALL_ARG, "SYSCALL_ARG");

typedef long call_function(struct arch_call *c);
// By ARCH_BY_*, then by the register that holds c: edi, ebp, or ebp with the address of c->args.
call_function arch_call_edi, arch_call_ebp, arch_call_args, arch_libc_edi, arch_libc_ebp,
    arch_libc_args, arch_vdso_edi, arch_vdso_ebp, arch_vdso_args;
static call_function *const functions[3][3] = {{arch_call_edi, arch_call_ebp, arch_call_args},
                                               {arch_libc_edi, arch_libc_ebp, arch_libc_args},
                                               {arch_vdso_edi, arch_vdso_ebp, arch_vdso_args}};
extern const char arch_returned_libc_edi[], arch_returned_libc_ebp[], arch_returned_libc_args[];
extern const char arch_returned_vdso_edi[], arch_returned_vdso_ebp[], arch_returned_vdso_args[];
static const char *const returned[3][3] = {
    [ARCH_BY_LIBC] = {arch_returned_libc_edi, arch_returned_libc_ebp, arch_returned_libc_args},
    [ARCH_BY_VDSO] = {arch_returned_vdso_edi, arch_returned_vdso_ebp, arch_returned_vdso_args}};

const uintptr_t arch_bad_addresses[] = {
    0, 1, 8, 4095, ARCH_USER_END, 0xfffff000, 0xffffffd8, 0xfffffff8, 0xffffffff,
};
const size_t arch_bad_addresses_count = sizeof arch_bad_addresses / sizeof arch_bad_addresses[0];

// The first entry of the GDT can't be used.
static const struct user_desc no_entry = {.base_addr = 4096, .limit = 1, .seg_32bit = 1};
const uintptr_t arch_bad_tls[] = {1, ARCH_USER_END, 0xffffffff, (uintptr_t)&no_entry};
const size_t arch_bad_tls_count = sizeof arch_bad_tls / sizeof arch_bad_tls[0];

enum { eax, ebx, ecx, edx, esi, edi, ebp, esp };

static const char *const gpr_name[8] = {"eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"};
static const char *const segment_name[4] = {"ds", "es", "fs", "gs"};

// What a function must preserve: ebx, esi, edi, ebp, esp, DF (which must be 0), and the control
// bits of x87 and mxcsr. __kernel_vsyscall() changes no more than the instruction.
#define KEPT_BY_FUNCTIONS (1U << ebx | 1U << esi | 1U << edi | 1U << ebp | 1U << esp)

static uint32_t address(const volatile void *p)
{
    return (uint32_t)(uintptr_t)p;
}

static void read_segments(struct arch_state *s)
{
    __asm__ volatile("mov %%ds, %0" : "=r"(s->segment[0]));
    __asm__ volatile("mov %%es, %0" : "=r"(s->segment[1]));
    __asm__ volatile("mov %%fs, %0" : "=r"(s->segment[2]));
    __asm__ volatile("mov %%gs, %0" : "=r"(s->segment[3]));
    memset(s->tls, 0, sizeof s->tls);
    s->tls[0] = s->segment[3] >> 3;
    arch_raw(SYS_get_thread_area, address(s->tls), 0, 0, 0, 0, 0);
}

uint64_t arch_tls_argument(void *at)
{
    struct arch_state own;
    read_segments(&own);
    struct user_desc *d = (struct user_desc *)at + 2;
    memset(at, 0, 64);
    *(uint32_t *)at = address(at); // a thread pointer points to itself
    d->entry_number = own.tls[0];
    d->base_addr = address(at);
    d->limit = 0xfffff;
    d->seg_32bit = 1;
    d->limit_in_pages = 1;
    d->useable = 1;
    return address(d);
}

uint64_t arch_tls_base(uint64_t argument)
{
    return ((const struct user_desc *)(uintptr_t)argument)->base_addr;
}

int arch_by_function(const char *name)
{
    if (strcmp(name, "libc") == 0) {
        return ARCH_BY_LIBC;
    }
    return strcmp(name, "vdso") == 0 && getauxval(AT_SYSINFO) ? ARCH_BY_VDSO : -1;
}

const char *arch_leaves_out(int by, const char *check)
{
    (void)by;
    (void)check;
    return NULL;
}

void arch_prepare(struct arch_call *c, const struct arch_syscall *s, uint64_t seed)
{
    memset(c->out, 0x5a, offsetof(struct arch_state, scratch));
    memset(&c->out[1], 0x5a, offsetof(struct arch_state, scratch));
    for (int i = 0; i < 8; i++) {
        c->in.gpr[i] = (uint32_t)next_random(&seed);
    }
    c->in.gpr[eax] = (uint32_t)s->nr;
    static const int registers[6] = {ebx, ecx, edx, esi, edi, ebp};
    for (int i = 0; i < 6; i++) {
        if (s->arg[i] || s->given >> i & 1) {
            c->in.gpr[registers[i]] = (uint32_t)s->arg[i];
        }
    }
    c->in.gpr[esp] = (uint32_t)s->sp;
    const int ebp_is_given = s->arg[5] || s->given >> 5 & 1;
    if (!ebp_is_given) {
        c->in.gpr[(seed & 1) || s->arg[4] ? ebp : edi] = address(c);
    } else if (c->in.gpr[ebp] != address(c->args)) {
        c->in.gpr[edi] = address(c); // a form that has an argument there goes without
    }
    c->in.eflags = 0x202U | ((uint32_t)next_random(&seed) & FLAGS_MASK);
    read_segments(&c->in);
    fill_fx(c->in.fx, c->in.ymm, 8, &seed);
    c->use_avx = cpu_has_avx();
    c->by_function = (uint32_t)s->by_function;
    c->function = s->by_function == ARCH_BY_LIBC ? (uint32_t)(uintptr_t)syscall
                                                 : (uint32_t)getauxval(AT_SYSINFO);
    if (s->by_function == ARCH_BY_LIBC) {
        c->in.eflags &= ~DIRECTION_FLAG;
        c->in.fx[4] = 0; // functions are called with an empty x87 stack
    }
}

// The second index of the tables above.
static int base_of(const struct arch_call *c)
{
    return c->in.gpr[ebp] == address(c->args) ? 2 : c->in.gpr[ebp] == address(c);
}

// __kernel_vsyscall() ends with int $0x80, pop instructions, ret. The ABI does not say what it
// pops, so read the code.
static const unsigned char *vsyscall_pops(const struct arch_call *c)
{
    const unsigned char *p = (const unsigned char *)(uintptr_t)c->function;
    while (p[0] != 0xcd || p[1] != 0x80) {
        p++;
    }
    return p + 2;
}

static int popped_register(unsigned char instruction)
{
    // In the order in which instructions number them.
    static const int registers[8] = {eax, ecx, edx, ebx, esp, ebp, esi, edi};
    return instruction >> 3 == 0x58 >> 3 ? registers[instruction & 7] : -1;
}

uint64_t arch_prepare_function_stack(struct arch_call *c, uint64_t *at)
{
    uint32_t *top = (uint32_t *)at;
    if (c->by_function == ARCH_BY_LIBC) {
        *top = address(returned[ARCH_BY_LIBC][base_of(c)]);
        return address(at);
    }
    const unsigned char *p = vsyscall_pops(c);
    for (int r; (r = popped_register(*p)) >= 0; p++) {
        *top++ = c->in.gpr[r];
    }
    *top = address(returned[ARCH_BY_VDSO][base_of(c)]);
    return address(at);
}

uint64_t arch_sp_after_return(const struct arch_call *c, uint64_t child_stack)
{
    if (c->by_function == ARCH_BY_LIBC) {
        return child_stack + 4 + 28; // the arguments, too
    }
    for (const unsigned char *p = vsyscall_pops(c); popped_register(*p) >= 0; p++) {
        child_stack += 4;
    }
    return child_stack + 4;
}

long arch_perform(struct arch_call *c)
{
    long result = functions[c->by_function][base_of(c)](c);
    if (c->by_function == ARCH_BY_LIBC && result == -1) {
        c->out[0].gpr[eax] = (uint32_t)(result = -errno);
    }
    return result;
}

int arch_compare(const struct arch_call *c, int who, uint64_t sp, uint64_t tls, char *why,
                 size_t size)
{
    const struct arch_state *in = &c->in;
    const struct arch_state *out = &c->out[who];
    const int libc = c->by_function == ARCH_BY_LIBC;
    for (int i = 0; i < 8; i++) {
        if (i == eax || (libc && !(KEPT_BY_FUNCTIONS & (1U << i)))) {
            continue;
        }
        if (differ(why, size, gpr_name[i], i == esp ? (uint32_t)sp : in->gpr[i], out->gpr[i])) {
            return -1;
        }
    }
    const uint32_t flags = libc ? DIRECTION_FLAG : FLAGS_MASK;
    if (differ(why, size, "eflags", in->eflags & flags, out->eflags & flags) ||
        differ(why, size, "gs base", tls ? (uint32_t)tls : in->tls[1], out->tls[1])) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        if (differ(why, size, segment_name[i], in->segment[i], out->segment[i])) {
            return -1;
        }
    }
    return libc ? differ_fx_control(why, size, in->fx, out->fx)
                : differ_fx(why, size, in->fx, out->fx, c->use_avx ? in->ymm : NULL, out->ymm, 8);
}
