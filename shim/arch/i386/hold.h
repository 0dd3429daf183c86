// SPDX-License-Identifier: MIT
// Trap mode: shows which halves of a slot are still in use. The trampoline's last store frees one:
// i386.
//
// That store must also load ebp, and no register is left for a jump. So each half holds the
// program's ebp. The store exchanges it with ebp, which holds the address of this structure until
// then: a half with that address is free. After the exchange comes a jump to the place of the
// program's call.
#ifndef SHIM_HOLD_H
#define SHIM_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct shim_hold {
    uint32_t parent, child;           // the program's ebp
    uint32_t parent_exit, child_exit; // addresses of the exchange and the jump
    uint32_t used;                    // 0: it never was
};

enum { SHIM_HOLD_TAKEN = 1 }; // nothing else has been stored yet

static inline uint32_t shim_hold_free(const struct shim_hold *hold)
{
    return (uint32_t)(uintptr_t)hold;
}

static inline bool shim_hold_replace(uint32_t *word, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline bool shim_hold_by_parent(const struct shim_hold *hold)
{
    return __atomic_load_n(&hold->used, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(&hold->parent, __ATOMIC_ACQUIRE) != shim_hold_free(hold);
}

static inline void shim_hold_drop_parent(struct shim_hold *hold)
{
    __atomic_store_n(&hold->parent, shim_hold_free(hold), __ATOMIC_RELEASE);
}

static inline void shim_hold_drop(struct shim_hold *hold)
{
    __atomic_store_n(&hold->child, shim_hold_free(hold), __ATOMIC_RELEASE);
    shim_hold_drop_parent(hold);
}

// Takes both halves, for parent and child. False: it is not free.
static inline bool shim_hold_take(struct shim_hold *hold)
{
    const uint32_t none = shim_hold_free(hold);
    if (__atomic_load_n(&hold->used, __ATOMIC_ACQUIRE) == 0) {
        // Until then both halves are 0, which does not mean free.
        if (!shim_hold_replace(&hold->used, 0, 1)) {
            return false;
        }
    } else if (__atomic_load_n(&hold->child, __ATOMIC_ACQUIRE) != none ||
               !shim_hold_replace(&hold->parent, none, SHIM_HOLD_TAKEN)) {
        return false;
    } else if (__atomic_load_n(&hold->child, __ATOMIC_ACQUIRE) != none) {
        // Another thread has taken it in the meantime and freed one half.
        shim_hold_drop_parent(hold);
        return false;
    }
    hold->child = SHIM_HOLD_TAKEN;
    return true;
}

#endif
