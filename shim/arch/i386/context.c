// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "context.h"

#include "base/arch/native.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

extern const char shim_trampoline_call[];
extern const char shim_trampoline_reported[];

static greg_t *registers(void *context)
{
    return ((ucontext_t *)context)->uc_mcontext.gregs;
}

static const int argument[6] = {REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI, REG_EBP};

void shim_context_save(void *context, struct shim_slot *slot)
{
    const greg_t *r = registers(context);
    for (int i = 0; i < 6; i++) {
        slot->saved[i] = (uint32_t)r[argument[i]];
    }
    slot->resume = (uint32_t)r[REG_EIP];
}

void shim_context_restore(void *context, const struct shim_slot *slot)
{
    greg_t *r = registers(context);
    for (int i = 0; i < 6; i++) {
        r[argument[i]] = (greg_t)slot->saved[i];
    }
    r[REG_EIP] = (greg_t)slot->resume;
}

void shim_context_set_result(void *context, long result)
{
    registers(context)[REG_EAX] = result;
}

const char *shim_context_stack_pointer(const void *context)
{
    const greg_t *r = ((const ucontext_t *)context)->uc_mcontext.gregs;
    return (const char *)r[REG_ESP]; // NOLINT: an address
}

enum { PLACES = 128, EXIT_SIZE = 16, EXITS_SIZE = PLACES * 2 * EXIT_SIZE };

// The trampoline's ways back to one place of the program. Parent and child each have one: it
// exchanges ebp and jumps to the address in exit_places. The code never changes, and a place stays
// once it is entered.
static unsigned char exits[PLACES][2][EXIT_SIZE] __attribute__((aligned(4096)));
static uint32_t exit_places[PLACES];
_Static_assert(EXITS_SIZE == 4096, "a page of its own");

// xchg [ebp + half], ebp; jmp [place]
static void write_exit(unsigned char *at, size_t half, const uint32_t *place)
{
    const uint32_t address = (uint32_t)(uintptr_t)place;
    const unsigned char code[5] = {0x87, 0x6d, (unsigned char)half, 0xff, 0x25};
    memcpy(at, code, sizeof code);
    memcpy(at + sizeof code, &address, sizeof address);
}

long shim_context_start(void)
{
    for (size_t i = 0; i < PLACES; i++) {
        write_exit(exits[i][0], offsetof(struct shim_hold, parent), &exit_places[i]);
        write_exit(exits[i][1], offsetof(struct shim_hold, child), &exit_places[i]);
    }
    return raw_call(SYS_mprotect, exits, EXITS_SIZE, PROT_READ | PROT_EXEC);
}

static const unsigned char *exit_to(uint32_t place)
{
    for (size_t i = 0; i < PLACES; i++) {
        uint32_t there = 0;
        if (__atomic_load_n(&exit_places[i], __ATOMIC_RELAXED) == place ||
            __atomic_compare_exchange_n(&exit_places[i], &there, place, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            there == place) {
            return exits[i][0];
        }
    }
    return NULL;
}

bool shim_context_share(struct shim_slot *slot, bool memory)
{
    struct shim_hold *hold = &slot->hold;
    const unsigned char *code = exit_to((uint32_t)slot->resume);
    if (!code) {
        return false;
    }
    const uint32_t ebp = (uint32_t)slot->saved[5];
    hold->parent = ebp;
    hold->child = memory ? ebp : shim_hold_free(hold);
    hold->parent_exit = (uint32_t)(uintptr_t)code;
    hold->child_exit = hold->parent_exit + (memory ? EXIT_SIZE : 0);
    return true;
}

void shim_context_enter_trampoline(void *context, struct shim_slot *slot)
{
    greg_t *r = registers(context);
    for (int i = 0; i < 5; i++) {
        r[argument[i]] = (greg_t)slot->call.kernel.arg[i];
    }
    r[REG_EBP] = (greg_t)(uintptr_t)&slot->hold;
    r[REG_EAX] = (greg_t)slot->call.kernel.nr;
    r[REG_EIP] = (greg_t)(uintptr_t)shim_trampoline_call;
}

struct shim_slot *shim_context_failed_slot(void *context)
{
    const greg_t *r = registers(context);
    if ((uintptr_t)r[REG_EIP] != (uintptr_t)shim_trampoline_reported) {
        return NULL;
    }
    const uintptr_t hold = (uintptr_t)r[REG_EBP]; // set by the trampoline
    return (struct shim_slot *)(hold - offsetof(struct shim_slot, hold));
}
