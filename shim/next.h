// SPDX-License-Identifier: MIT
// The C library's own function of a name that is ours, too.
#ifndef SHIM_NEXT_H
#define SHIM_NEXT_H

#include <dlfcn.h>
#include <stddef.h>

#define SHIM_EXPORT __attribute__((visibility("default")))

static inline void *shim_next(const char *name, void **cached)
{
    void *function = __atomic_load_n(cached, __ATOMIC_RELAXED);
    if (!function) {
        function = dlsym(RTLD_NEXT, name);
        if (!function)
            (void)dlerror(); // not for the program to find
        __atomic_store_n(cached, function, __ATOMIC_RELAXED);
    }
    return function;
}

// Defines next_NAME(), which gives that function. All are looked up when the library is loaded,
// for dlsym() may not be called in a signal handler; who calls one before that finds it itself.
// ISO C has no conversion from void * to a pointer to a function; POSIX has it by way of memory.
#define SHIM_NEXT(type, name)                                                                      \
    static type *next_##name(void)                                                                 \
    {                                                                                              \
        static void *cached;                                                                       \
        type *function = NULL;                                                                     \
        *(void **)(&function) = shim_next(#name, &cached);                                         \
        return function;                                                                           \
    }                                                                                              \
    __attribute__((constructor)) static void find_##name(void)                                     \
    {                                                                                              \
        (void)next_##name();                                                                       \
    }

#endif
