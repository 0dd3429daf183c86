// SPDX-License-Identifier: MIT
#include "filter.h"

#include "filter/announcing_calls.h"
#include "filter/seccomp_filter.h"

#include <errno.h>
#include <stddef.h>

long install_listener(const struct shim_calls *calls, struct installed_filter *installed)
{
    const unsigned long killable = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    struct filter_options how = {SECCOMP_FILTER_FLAG_NEW_LISTENER | killable, killable, 1, 0};
    struct sock_filter steps[(MOST_CALLS + ANNOUNCING_CALLS) *
                                 (FILTER_NOTIFY_STEPS + MOST_GUARDS * FILTER_GUARD_STEPS) +
                             1];
    struct sock_fprog program = {0, steps};
    for (unsigned i = 0; i < calls->count; i++) {
        const struct shared_number *const shared = calls->at[i].shared;
        filter_notify(&program, calls->at[i].audit_arch, calls->at[i].number,
                      shared ? shared->guards : NULL, shared ? shared->guard_count : 0);
    }
    for (unsigned i = 0; i < ANNOUNCING_CALLS; i++) { // for the agent's log
        const struct shared_number *const one = &announcing_calls[i];
        filter_notify(&program, one->audit_arch, one->number, one->guards, one->guard_count);
    }
    filter_answer(&program, SECCOMP_RET_ALLOW);
    const long listener = filter_install(&program, &how);
    installed->wait_killable = (how.flags & killable) != 0;
    installed->no_new_privs = how.no_new_privs;
    return listener;
}

const char *advice_for_filter(long err)
{
    switch (err) {
    case EBUSY:
        return ": a seccomp listener already exists (another clone2-shim or clone2-supervise, or "
               "the container's own listenerPath): the kernel allows one on a filter chain; "
               "libclone2 works there (LD_PRELOAD=libclone2.so.1)";
    case EINVAL:
        return ": this kernel has no seccomp user notification (5.0 or later needed)";
    case EPERM:
    case EACCES:
        return ": a filter of this sandbox forbids it";
    default:
        return "";
    }
}
