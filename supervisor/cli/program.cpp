// SPDX-License-Identifier: MIT
#include "cli/program.hpp"

#include "base/diagnostics.hpp"
#include "base/printable.hpp"
#include "cli/messages.hpp"
#include "cli/own_failure.hpp"
#include "cli/serve_process.hpp"
#include "filter/filter.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace clone2::cli
{

void tell_of_no_service(const Options &options, const std::string &why)
{
    Diagnostics(options.verbosity).warn("PROGRAM runs, but is not served here: " + why);
}

namespace
{

constexpr int not_executable = 126;
constexpr int not_found = 127;

/// Makes PROGRAM the process that a service manager has named in the environment. A program
/// ignores the sockets passed to it, or the watchdog, if these variables name another process.
void take_over_environment(pid_t command)
{
    const std::string old_pid = std::to_string(command);
    const std::string new_pid = std::to_string(::getpid());
    const auto names_command = [&](const char *variable) {
        const char *const value = std::getenv(variable);
        return value != nullptr && value == old_pid;
    };
    if (names_command("LISTEN_PID")) {
        ::unsetenv("LISTEN_PIDFDID"); // the same by another number (systemd 259), and optional
    }
    for (const char *const variable : {"LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"}) {
        if (names_command(variable)) {
            ::setenv(variable, new_pid.c_str(), 1);
        }
    }
}

/// What the serving process says. Ends the process if PROGRAM must not run.
Service hear(const Options &options, const Fd &serving, bool has_filter)
{
    const std::optional<Service> service = receive_value<Service>(serving);
    if (!service) {
        const std::string why = "the serving process was killed before PROGRAM was started";
        if (!options.optional || has_filter) {
            fail(why);
        }
        tell_of_no_service(options, why);
        return Service::none;
    }
    if (*service == Service::failed) {
        ::_exit(own_failure);
    }
    return *service;
}

/// Installs the filter (empty: none) and hands its listener to the serving process.
void offer_listener(const Options &options, std::span<const sock_filter> filter, const Fd &serving)
{
    ListenerOffer offer;
    Fd listener;
    if (!filter.empty()) {
        const Result<InstalledFilter> installed = install_filter(filter);
        if (installed) {
            listener = Fd(installed->listener);
            offer.wait_killable = installed->wait_killable;
            offer.no_new_privs = installed->no_new_privs;
        } else if (options.optional) {
            offer.failure = installed.error(); // the strings are valid in both processes
        } else {
            fail(installed.error().to_string());
        }
    }
    send_value(serving, offer, listener.get()); // if this fails, no answer comes
}

} // namespace

void run_program(const Options &options, std::span<const sock_filter> filter,
                 const std::optional<Preload> &preload, const Fd &serving,
                 const InheritedSignals &inherited, pid_t command)
{
    if (preload && !set_preload(*preload)) {
        fail("--preload: no memory for the environment");
    }
    // The filter stays, so it comes after all else that may fail.
    if (hear(options, serving, false) == Service::ready) {
        offer_listener(options, filter, serving);
        (void)hear(options, serving, true);
    }
    take_over_environment(command);
    restore_signals(inherited);
    execute(options);
}

void execute(const Options &options)
{
    const std::vector<std::string> &program = options.program;
    std::vector<char *> arguments;
    arguments.reserve(program.size() + 1);
    for (const std::string &argument : program) {
        arguments.push_back(const_cast<char *>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    ::execvp(arguments.front(), arguments.data());
    const int err = errno;
    (void)ignore_file_limit();
    const bool missing = err == ENOENT;
    const std::string hint =
        missing && !options.not_found_hint.empty() ? " (" + options.not_found_hint + ")" : "";
    Diagnostics::line(printable(program.front()) + ": " + std::strerror(err) + hint);
    ::_exit(missing ? not_found : not_executable);
}

} // namespace clone2::cli
