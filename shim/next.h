// SPDX-License-Identifier: MIT
// Finds the C library's function that one of ours replaces.
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
        if (!function) {
            (void)dlerror(); // clear the error before the program sees it
        }
        __atomic_store_n(cached, function, __ATOMIC_RELAXED);
    }
    return function;
}

// Defines next_NAME(), which returns that function. All are looked up when the library is loaded,
// because dlsym() must not be called in a signal handler; a caller before that looks up its own.
// ISO C has no conversion from void * to a function pointer; POSIX allows it through memory.
#define SHIM_NEXT(type, name)                                                                      \
    static type *next_##name(void)                                                                 \
    {                                                                                              \
        static void *cached;                                                                       \
        type *function = NULL; /* NOLINT(bugprone-macro-parentheses): a type */                    \
        *(void **)(&function) = shim_next(#name, &cached);                                         \
        return function;                                                                           \
    }                                                                                              \
    __attribute__((constructor)) static void find_##name(void)                                     \
    {                                                                                              \
        (void)next_##name();                                                                       \
    }

#endif
