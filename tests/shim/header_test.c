/* SPDX-License-Identifier: MIT */
/* clone2.h as C99, C11 and C++, by itself and with every warning. */
#include "clone2.h"

#include <stddef.h>

typedef char size_is_40[sizeof(struct clone_struct) == 40 ? 1 : -1];
typedef char pids_at_16[offsetof(struct clone_struct, nr_pids) == 16 ? 1 : -1];
typedef char tid_at_20[offsetof(struct clone_struct, parent_tid) == 20 ? 1 : -1];
typedef char default_number[__NR_clone2 == 387 ? 1 : -1];

static int run(void *arg)
{
    return arg == NULL;
}

long call_both(struct clone_struct *args, pid_t *pids, void *stack);
long call_both(struct clone_struct *args, pid_t *pids, void *stack)
{
    return clone2(args, pids) + clone2_call(run, stack, args, pids, NULL);
}
