// SPDX-License-Identifier: MIT
#include "harness.h"

#include <stddef.h>

extern const struct check basic_checks[], pids_checks[], pidmax_checks[], namespaces_checks[],
    busy_checks[], order_checks[], args_checks[], setting_checks[], flags_checks[],
    sharing_checks[], addresses_checks[], stack_checks[], vfork_checks[], threads_checks[],
    signals_checks[], storms_checks[], handlers_checks[], life_checks[], limits_checks[],
    fuzz_checks[], without_pids_checks[], shared_number_checks[];

const struct check *const check_tables[] = {
    basic_checks,      pids_checks,      pidmax_checks,
    namespaces_checks, busy_checks,      order_checks,
    args_checks,       setting_checks,   flags_checks,
    sharing_checks,    addresses_checks, stack_checks,
    vfork_checks,      threads_checks,   signals_checks,
    storms_checks,     handlers_checks,  life_checks,
    limits_checks,     fuzz_checks,      NULL,
};

const struct check *const named_tables[] = {without_pids_checks, shared_number_checks, NULL};
