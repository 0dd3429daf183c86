// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "alarm.h"
#include "harness.h"
#include "nest.h"

#include <signal.h>
#include <sys/time.h>

void start_timer(unsigned first_us, unsigned interval_us)
{
    struct itimerval timer = {{0, (suseconds_t)interval_us}, {0, (suseconds_t)first_us}};
    NEED(setitimer(ITIMER_REAL, &timer, NULL));
}

void handle(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_ONSTACK};
    use_alternate_stack();
    NEED(sigaction(SIGALRM, &action, NULL));
}
