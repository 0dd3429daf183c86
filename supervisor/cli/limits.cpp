// SPDX-License-Identifier: MIT
#include "cli/limits.hpp"

#include <sys/resource.h>

#include <initializer_list>

namespace clone2::cli
{

void raise_limits()
{
    for (const auto resource :
         {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_AS, RLIMIT_NOFILE, RLIMIT_NPROC}) {
        rlimit limit{};
        if (::getrlimit(resource, &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            ::setrlimit(resource, &limit);
        }
    }
}

} // namespace clone2::cli
