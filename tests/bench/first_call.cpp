// SPDX-License-Identifier: MIT
#include "first_call.hpp"

#include "launch.hpp"

#include <sstream>

namespace bench
{

int first_call(Provider provider, long number, pid_t pid,
               std::chrono::duration<float, std::micro> &took)
{
    static const std::string program = find_built("", "tests/bench/first-call", "no other place");
    Helper helper({program, provider == Provider::native ? "native" : "clone2",
                   std::to_string(number), std::to_string(pid)});
    int error = 0;
    float us = 0;
    std::istringstream(helper.line()) >> error >> us;
    took = std::chrono::duration<float, std::micro>(us);
    return error;
}

} // namespace bench
