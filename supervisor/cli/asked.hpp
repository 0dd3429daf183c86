// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

#include <optional>
#include <string>
#include <sys/types.h>

namespace clone2::cli
{

/// What all options together ask for: each Option's functions fill it in, parse() reads it.
struct Asked {
    Options options;
    std::string wrong_part;             ///< of the list that is an option's value
    std::string numbers;                ///< --nr, as often as it is given
    std::optional<std::string> feature; ///< --check
    bool base64 = false;                ///< --print-bpf
    pid_t pid = 0;                      ///< --dump-slots
    Mode mode = running;
    std::optional<Command> at_once; ///< takes precedence over everything else
};

} // namespace clone2::cli
