// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "context.h"

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

extern const char shim_trampoline_call[];
extern const char shim_trampoline_reported[];

static greg_t *registers(void *context)
{
    return ((ucontext_t *)context)->uc_mcontext.gregs;
}

static const int argument[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};

long shim_context_start(void)
{
    return 0;
}

void shim_context_save(void *context, struct shim_slot *slot)
{
    const greg_t *r = registers(context);
    for (int i = 0; i < 6; i++) {
        slot->saved[i] = (uint64_t)r[argument[i]];
    }
    slot->resume = (uint64_t)r[REG_RIP];
}

void shim_context_restore(void *context, const struct shim_slot *slot)
{
    greg_t *r = registers(context);
    for (int i = 0; i < 6; i++) {
        r[argument[i]] = (greg_t)slot->saved[i];
    }
    r[REG_RIP] = (greg_t)slot->resume;
}

void shim_context_set_result(void *context, long result)
{
    registers(context)[REG_RAX] = result;
}

const char *shim_context_stack_pointer(const void *context)
{
    const greg_t *r = ((const ucontext_t *)context)->uc_mcontext.gregs;
    return (const char *)(uintptr_t)r[REG_RSP]; // NOLINT: an address
}

bool shim_context_share(struct shim_slot *slot, bool memory)
{
    struct shim_hold *hold = &slot->hold;
    if (!memory) {
        hold->owned.child = 0;
    }
    hold->child_clears = (uint64_t)(uintptr_t)(memory ? &hold->owned.child : &hold->owned.parent);
    return true;
}

void shim_context_enter_trampoline(void *context, struct shim_slot *slot)
{
    greg_t *r = registers(context);
    for (int i = 0; i < 5; i++) {
        r[argument[i]] = (greg_t)slot->call.kernel.arg[i];
    }
    r[REG_R9] = (greg_t)(uintptr_t)slot;
    r[REG_RAX] = (greg_t)slot->call.kernel.nr;
    r[REG_RIP] = (greg_t)(uintptr_t)shim_trampoline_call;
}

struct shim_slot *shim_context_failed_slot(void *context)
{
    const greg_t *r = registers(context);
    if ((uintptr_t)r[REG_RIP] != (uintptr_t)shim_trampoline_reported) {
        return NULL;
    }
    return (struct shim_slot *)(uintptr_t)r[REG_R9]; // NOLINT: set by the trampoline
}
