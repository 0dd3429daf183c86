// SPDX-License-Identifier: MIT
#include "slots.h"

#include <stddef.h>

static struct shim_slot slots[SHIM_SLOTS];

struct shim_slot *shim_slot_take(void)
{
    for (unsigned i = 0; i < SHIM_SLOTS; i++) {
        uint16_t nobody = 0;
        if (__atomic_load_n(&slots[i].owners, __ATOMIC_RELAXED) == 0 &&
            __atomic_compare_exchange_n(&slots[i].owners, &nobody, (uint16_t)0x0101, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return &slots[i];
    }
    return NULL;
}

void shim_slot_give_back(struct shim_slot *slot)
{
    __atomic_store_n(&slot->owners, (uint16_t)0, __ATOMIC_RELEASE);
}
