// SPDX-License-Identifier: MIT
#include "base/diagnostics.hpp"
#include "cli/agent_command.hpp"
#include "cli/check.hpp"
#include "cli/command.hpp"
#include "cli/descriptors.hpp"
#include "cli/dump_slots.hpp"
#include "cli/inherited_signals.hpp"
#include "cli/options.hpp"
#include "cli/own_failure.hpp"
#include "cli/print_bpf.hpp"
#include "filter/filter.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace
{

using namespace clone2;

int usage_error(const std::string &message)
{
    Diagnostics::line(message);
    return cli::own_failure;
}

int end_of_output()
{
    // An earlier write of a full buffer may have failed.
    const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    return written ? 0 : usage_error("stdout: " + cli::reason());
}

int run(const cli::Command &command, const struct sigaction &sigxfsz)
{
    if (const auto *error = std::get_if<cli::UsageError>(&command)) {
        return usage_error(error->message);
    }
    if (std::holds_alternative<cli::ShowHelp>(command)) {
        std::fputs(cli::help_text().c_str(), stdout);
        return end_of_output();
    }
    if (std::holds_alternative<cli::ShowVersion>(command)) {
        std::puts("clone2-supervise " CLONE2_VERSION);
        return end_of_output();
    }
    if (const auto *const dump = std::get_if<cli::DumpSlots>(&command)) {
        return cli::dump_slots(*dump);
    }
    const auto *const check = std::get_if<cli::Check>(&command);
    const auto *const bpf = std::get_if<cli::PrintBpf>(&command);
    const CallTable &calls = check != nullptr ? check->calls
                             : bpf != nullptr ? bpf->calls
                                              : std::get<cli::Options>(command).calls;
    if (const auto in_use = number_in_use(calls)) {
        return usage_error("--nr: " + *in_use);
    }
    for (const std::string &warning : warnings_of(calls)) {
        Diagnostics::line(warning);
    }
    if (check != nullptr) {
        return cli::run_check(*check);
    }
    if (bpf != nullptr) {
        return cli::print_bpf(*bpf);
    }
    const auto &options = std::get<cli::Options>(command);
    cli::occupy_standard();
    return options.listen ? cli::run_agent(options) : cli::run_command(options, sigxfsz);
}

} // namespace

int main(int argc, char **argv)
{
    try {
        const struct sigaction sigxfsz = cli::ignore_file_limit();
        const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
        return run(cli::parse(arguments), sigxfsz);
    } catch (const std::exception &error) {
        return usage_error(cli::reason_of(error));
    }
}
