// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_SERVER_HPP
#define CLONE2_BENCH_SERVER_HPP

#include <string>
#include <sys/types.h>

namespace bench
{

/// The nearest ancestor that serves clone2 calls; 0 if none.
pid_t serving_ancestor(pid_t pid);

/// CPU time of all its threads, in microseconds.
double cpu_us(pid_t pid);

/// The number after `key` in a file of "key: number" lines; 0 if there is none.
long number_of(const std::string &path, const std::string &key);

} // namespace bench

#endif
