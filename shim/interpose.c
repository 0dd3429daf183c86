// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "interpose.h"

#include "trap.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))

typedef int sigaction_function(int, const struct sigaction *, struct sigaction *);
typedef int mask_function(int, const sigset_t *, sigset_t *);
typedef void *thread_function(void *);
typedef int create_function(pthread_t *, const pthread_attr_t *, thread_function *, void *);

static bool started;
static struct sigaction programs_own; // what the program thinks SIGSYS does

static void *next(const char *name, void **cached)
{
    void *function = __atomic_load_n(cached, __ATOMIC_RELAXED);
    if (!function) {
        function = dlsym(RTLD_NEXT, name);
        __atomic_store_n(cached, function, __ATOMIC_RELAXED);
    }
    return function;
}

// ISO C has no conversion from void * to a pointer to a function; POSIX has it by way of memory.
#define NEXT(type, name)                                                                           \
    static void *cached_##name;                                                                    \
    type *real = NULL;                                                                             \
    *(void **)(&real) = next(#name, &cached_##name)

static int real_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    NEXT(sigaction_function, sigaction);
    return real(number, action, old);
}

static int real_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    NEXT(mask_function, sigprocmask);
    return real(how, set, old);
}

static int real_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    NEXT(mask_function, pthread_sigmask);
    return real(how, set, old);
}

static int real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                               thread_function *run, void *argument)
{
    NEXT(create_function, pthread_create);
    return real(thread, attributes, run, argument);
}

EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    if (!started)
        return real_sigaction(number, action, old);
    if (number == SIGSYS) {
        const struct sigaction before = programs_own;
        if (action)
            programs_own = *action;
        if (old)
            *old = before;
        return 0;
    }
    if (!action)
        return real_sigaction(number, action, old);
    struct sigaction changed = *action;
    sigdelset(&changed.sa_mask, SIGSYS);
    return real_sigaction(number, &changed, old);
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction old;
    return sigaction(number, &action, &old) < 0 ? SIG_ERR : old.sa_handler;
}

static const sigset_t *without_sigsys(int how, const sigset_t *set, sigset_t *copy)
{
    if (!started || !set || how == SIG_UNBLOCK)
        return set;
    *copy = *set;
    sigdelset(copy, SIGSYS);
    return copy;
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t copy;
    return real_sigprocmask(how, without_sigsys(how, set, &copy), old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t copy;
    return real_pthread_sigmask(how, without_sigsys(how, set, &copy), old);
}

// A thread's alternate stack, in a mapping of its own; what the thread is to run lies at its
// start, which is the far end of the stack.
struct thread_start {
    thread_function *run;
    void *argument;
};

static pthread_key_t stack_key;

static void remove_stack(void *memory)
{
    stack_t current;
    const stack_t none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &current) == 0 && current.ss_sp == memory)
        sigaltstack(&none, NULL);
    munmap(memory, SHIM_ALTERNATE_STACK_SIZE);
}

static void *run_with_stack(void *memory)
{
    const struct thread_start start = *(struct thread_start *)memory;
    const stack_t stack = {.ss_sp = memory, .ss_size = SHIM_ALTERNATE_STACK_SIZE};
    sigaltstack(&stack, NULL);
    pthread_setspecific(stack_key, memory);
    return start.run(start.argument);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    struct thread_start *memory = MAP_FAILED;
    if (started)
        memory = mmap(NULL, SHIM_ALTERNATE_STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return real_pthread_create(thread, attributes, run, argument);
    *memory = (struct thread_start){run, argument};
    const int error = real_pthread_create(thread, attributes, run_with_stack, memory);
    if (error)
        munmap(memory, SHIM_ALTERNATE_STACK_SIZE);
    return error;
}

void shim_interpose_start(void)
{
    if (pthread_key_create(&stack_key, remove_stack) == 0)
        started = true;
}

bool shim_interpose_deliver(int number, siginfo_t *info, void *context)
{
    if (programs_own.sa_flags & SA_SIGINFO) {
        programs_own.sa_sigaction(number, info, context);
        return true;
    }
    if (programs_own.sa_handler == SIG_DFL)
        return false;
    if (programs_own.sa_handler != SIG_IGN)
        programs_own.sa_handler(number);
    return true;
}
