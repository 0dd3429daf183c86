// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_RAW_CALLS_HPP
#define CLONE2_BENCH_RAW_CALLS_HPP

#include <cstdint>

namespace bench
{

/// Both providers go through the same bare instruction, so that only the provider differs.
inline long raw_call(long number, std::uintptr_t first, std::uintptr_t second)
{
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(first), "S"(second)
                 : "rcx", "r11", "memory");
    return result;
}

/// The same for a call that makes a thread: the child is on another stack, where no compiled code
/// may run, and exits at once.
inline long raw_thread_call(long number, std::uintptr_t first, std::uintptr_t second)
{
    long result;
    asm volatile("syscall\n\t"
                 "testq %%rax, %%rax\n\t"
                 "jnz 1f\n\t"
                 "xorl %%edi, %%edi\n\t"
                 "movl $60, %%eax\n\t" // exit: this thread only
                 "syscall\n"
                 "1:"
                 : "=a"(result)
                 : "a"(number), "D"(first), "S"(second)
                 : "rcx", "r11", "memory", "cc");
    return result;
}

} // namespace bench

#endif
