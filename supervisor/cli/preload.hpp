// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"

#include <optional>
#include <string>

namespace clone2::cli
{

/// libclone2 in PROGRAM's LD_PRELOAD (--preload). PROGRAM remains supervised: the supervisor gets
/// the calls that do not go through the library.
struct Preload {
    std::string library; ///< absolute path; may contain ld.so(8)'s $LIB
    int number;          ///< the library serves one
};

/// The library that belongs to this command, in the build directory or as installed. nullopt: it is
/// not there.
[[nodiscard]] std::optional<std::string> find_preload_library();

/// For PROGRAM, whose calls `trapped` are given to us. nullopt: there are none. If the library is
/// missing or serves none of these numbers, exits with a message.
[[nodiscard]] std::optional<Preload> prepare_preload(const CallTable &trapped);

/// Changes this process's environment: the library comes first in LD_PRELOAD. CLONE2_NR is set only
/// if the library would take another number without it. False: no memory.
[[nodiscard]] bool set_preload(const Preload &preload);

} // namespace clone2::cli
