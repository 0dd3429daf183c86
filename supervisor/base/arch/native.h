/* SPDX-License-Identifier: MIT */
/* The architecture that this build itself runs on. For C without a C library, and for C++. */
#ifdef __x86_64__
#include "base/arch/x86_64/native.h"
#elif defined(__i386__)
#include "base/arch/i386/native.h"
#else
#error "base/arch/native.h does not know this architecture"
#endif
