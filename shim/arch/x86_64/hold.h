// SPDX-License-Identifier: MIT
// Trap mode: shows which halves of a slot are still in use. The trampoline's last store frees one:
// x86-64.
#ifndef SHIM_HOLD_H
#define SHIM_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct shim_hold {
    uint64_t child_clears; // address of the byte below that the child clears
    union {
        struct {
            uint8_t parent, child;
        } owned;
        uint16_t owners; // 0: free
    };
};

// Takes both halves, for parent and child. False: it is not free.
static inline bool shim_hold_take(struct shim_hold *hold)
{
    uint16_t nobody = 0;
    return __atomic_load_n(&hold->owners, __ATOMIC_RELAXED) == 0 &&
           __atomic_compare_exchange_n(&hold->owners, &nobody, (uint16_t)0x0101, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline bool shim_hold_by_parent(const struct shim_hold *hold)
{
    return __atomic_load_n(&hold->owned.parent, __ATOMIC_RELAXED);
}

static inline void shim_hold_drop_parent(struct shim_hold *hold)
{
    __atomic_store_n(&hold->owned.parent, (uint8_t)0, __ATOMIC_RELEASE);
}

static inline void shim_hold_drop(struct shim_hold *hold)
{
    __atomic_store_n(&hold->owners, (uint16_t)0, __ATOMIC_RELEASE);
}

#endif
