// SPDX-License-Identifier: MIT
#include "slots.h"

#include "base/arch/native.h"

#include <stddef.h>
#include <sys/syscall.h>

enum {
    MANY = 64,   // with more slots in use, look for abandoned ones
    NESTED = 16, // nested calls of one thread, each in a handler that interrupted the last
};

static struct shim_slot slots[SHIM_SLOTS];
static unsigned long taken;

static bool is_held_by(const struct shim_slot *slot, int32_t tid)
{
    return shim_hold_by_parent(&slot->hold) && __atomic_load_n(&slot->tid, __ATOMIC_RELAXED) == tid;
}

// A handler that jumps out of an interrupted call leaves the call's slot in use. A slot is
// abandoned if its thread holds more newer slots than calls can nest.
static void reclaim_abandoned(int32_t tid)
{
    for (unsigned i = 0; i < SHIM_SLOTS; i++) {
        if (!is_held_by(&slots[i], tid)) {
            continue;
        }
        unsigned newer = 0;
        for (unsigned j = 0; j < SHIM_SLOTS; j++) {
            if (is_held_by(&slots[j], tid) && (long)(slots[j].sequence - slots[i].sequence) > 0) {
                newer++;
            }
        }
        if (newer > NESTED) {
            shim_hold_drop_parent(&slots[i].hold);
        }
    }
}

static struct shim_slot *take(unsigned *index)
{
    for (unsigned i = 0; i < SHIM_SLOTS; i++) {
        if (shim_hold_take(&slots[i].hold)) {
            *index = i;
            return &slots[i];
        }
    }
    return NULL;
}

struct shim_slot *shim_slot_take(void)
{
    unsigned index = SHIM_SLOTS;
    const int32_t tid = (int32_t)raw_call(SYS_gettid);
    struct shim_slot *slot = take(&index);
    if (index >= MANY) {
        reclaim_abandoned(tid);
    }
    if (!slot) {
        slot = take(&index);
    }
    if (slot) {
        slot->sequence = __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->tid, tid, __ATOMIC_RELAXED);
    }
    return slot;
}

void shim_slot_give_back(struct shim_slot *slot)
{
    shim_hold_drop(&slot->hold);
}
