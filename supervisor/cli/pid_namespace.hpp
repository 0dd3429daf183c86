// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"
#include "cli/user_namespace.hpp"

namespace clone2::cli
{

/// Moves this process into the new user namespace, if the options want one that the serving process
/// must be in, too: it can reach processes of mapped users only from inside. Returns whether it
/// did. Throws as enter_user_namespace() does.
bool enter_shared_user_namespace(const Options &options, const AutomaticMapping &automatic);

/// Moves this process's children into a new pid namespace, and without privilege first this process
/// into a new user namespace, mapped as the options say. Returns whether it made that. Throws as
/// enter_user_namespace() does.
bool enter_namespaces(const Options &options, const AutomaticMapping &automatic);

/// Mounts a /proc for the caller's pid namespace, in a new mount namespace. Throws
/// std::runtime_error.
void mount_proc();

/// Sets, in the caller's pid namespace, pid_max as the options say, and checks that the pids they
/// ask for are below it. Needs that namespace's /proc. Throws std::runtime_error.
void limit_pids(const Options &options);

/// Makes `next` the next pid that the caller's pid namespace gives out, if it is free; else the
/// first free one after it. `option`: on whose behalf. Throws std::runtime_error.
void count_pids_from(pid_t next, const char *option);

} // namespace clone2::cli
