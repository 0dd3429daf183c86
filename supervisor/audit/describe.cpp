// SPDX-License-Identifier: MIT
#include "audit/describe.hpp"

#include "base/printable.hpp"
#include "plan/flags.hpp"

#include <initializer_list>
#include <linux/sched.h>
#include <utility>

namespace clone2
{

namespace
{

std::string describe_read(const ProgramCall &call)
{
    if (call.unreadable) {
        return "program call, no struct readable at " + hex(call.unreadable->value());
    }
    const Request &request = call.request;
    const bool has_pids = request.pids_readable && request.nr_pids <= max_pids;
    return "program call (" + describe_flags(request.flags) + ", " +
           (has_pids ? describe_pids(request.asked())
                     : "(" + std::to_string(request.nr_pids) + " pids)") +
           ")" + (call.image ? ", code at " + hex(call.image->code.value()) : ", no code known");
}

std::string describe_read(const Report &report)
{
    return "report from the slot at " + hex(report.slot.value());
}

std::string describe_read(const BootReport &report)
{
    return "boot report from the slot at " + hex(report.slot.value());
}

std::string describe_read(const ForeignReport & /*report*/)
{
    return "report from the code of another version";
}

} // namespace

std::string describe_pids(std::span<const pid_t> pids)
{
    std::string text = "{";
    for (const pid_t pid : pids) {
        text += (text.size() > 1 ? ", " : "") + std::to_string(pid);
    }
    return text + "}";
}

std::string describe(const CloneCall &call)
{
    std::string text = call.plain ? "clone(" : "clone3(";
    text += describe_flags(call.flags | call.exit_signal);
    // Shows tls only if the call uses it.
    const std::uint64_t tls = (call.flags & CLONE_SETTLS) != 0 ? call.tls : 0;
    for (const auto &[name, value] :
         {std::pair{"stack", call.stack}, std::pair{"stack_size", call.stack_size},
          std::pair{"stack pointer", call.child_sp}, std::pair{"tls", tls},
          std::pair{"pidfd", call.pidfd}, std::pair{"parent_tid", call.parent_tid},
          std::pair{"child_tid", call.child_tid}}) {
        if (value != 0) {
            text += std::string(", ") + name + " " + hex(value);
        }
    }
    if (call.set_tid_size != 0) {
        text += ", set_tid " + describe_pids(std::span(call.set_tid).first(call.set_tid_size));
    }
    return text + ")";
}

std::string describe(const Plan &plan)
{
    const auto *const refusal = std::get_if<Refusal>(&plan);
    return refusal != nullptr ? errno_name(refusal->err) : describe(std::get<CloneCall>(plan));
}

std::string describe(const CallRead &read)
{
    return std::visit([](const auto &what) { return describe_read(what); }, read);
}

} // namespace clone2
