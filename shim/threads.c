// SPDX-License-Identifier: MIT
// Gives each thread an alternate stack, so that a call leaves the thread's own stack unchanged, and
// unblocks SIGSYS whatever mask the thread starts with.
#define _GNU_SOURCE
#include "threads.h"

#include "next.h"
#include "own.h"
#include "trap.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

typedef void *thread_function(void *);
typedef int create_function(pthread_t *, const pthread_attr_t *, thread_function *, void *);

SHIM_NEXT(create_function, pthread_create)

// Lies at the start of the stack's mapping, which is the far end of the stack.
struct thread_start {
    thread_function *run;
    void *argument;
    bool blocked; // whether the creating thread blocks SIGSYS
};

static bool started;
static pthread_key_t stack_key;

static void remove_stack(void *memory)
{
    stack_t now;
    const stack_t none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == memory) {
        sigaltstack(&none, NULL);
    }
    munmap(memory, SHIM_ALTERNATE_STACK_SIZE);
}

static void *run_with_stack(void *memory)
{
    const struct thread_start start = *(struct thread_start *)memory;
    const stack_t stack = {.ss_sp = memory, .ss_size = SHIM_ALTERNATE_STACK_SIZE};
    sigaltstack(&stack, NULL);
    pthread_setspecific(stack_key, memory);
    // The thread's attributes may contain a mask.
    shim_own_block(shim_trap_unblock() || start.blocked);
    return start.run(start.argument);
}

SHIM_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                               void *(*run)(void *), void *argument)
{
    struct thread_start *memory = MAP_FAILED;
    if (started) {
        memory = mmap(NULL, SHIM_ALTERNATE_STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (memory == MAP_FAILED) {
        return next_pthread_create()(thread, attributes, run, argument);
    }
    *memory = (struct thread_start){run, argument, shim_own_blocked()};
    const int error = next_pthread_create()(thread, attributes, run_with_stack, memory);
    if (error) {
        munmap(memory, SHIM_ALTERNATE_STACK_SIZE);
    }
    return error;
}

void shim_threads_start(void)
{
    started = pthread_key_create(&stack_key, remove_stack) == 0;
}
