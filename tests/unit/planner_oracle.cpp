// SPDX-License-Identifier: MIT
#include "planner_oracle.hpp"

#include <cerrno>
#include <iterator>
#include <sstream>

namespace clone2::test
{

namespace
{

constexpr std::uint64_t exit_signal_mask = 0xff;
constexpr std::uint64_t lower_flags = 0xffffff00;
constexpr std::uint64_t highest_signal = 64;
constexpr std::size_t most_set_tid = 32; // MAX_PID_NS_LEVEL, linux/pid_namespace.h
constexpr pid_t pid_max = 1 << 22U;      // the kernel's own limit on 64-bit machines
constexpr pid_t free_pid = 4242;

/// clone(2) looks at less: it ignores, or means something else.
int clone_argument_error(const CloneCall &call)
{
    const bool both = (call.flags & pidfd) != 0 && (call.flags & (parent_settid | detached)) != 0;
    return both ? EINVAL : 0;
}

int clone3_argument_error(const CloneCall &call)
{
    if ((call.flags & ~(lower_flags | 0x80 | clear_sighand | into_cgroup)) != 0 ||
        (call.flags & detached) != 0) {
        return EINVAL;
    }
    if ((call.flags & sighand) != 0 && (call.flags & clear_sighand) != 0) {
        return EINVAL;
    }
    if (call.exit_signal > highest_signal ||
        ((call.flags & (thread | parent)) != 0 && call.exit_signal != 0)) {
        return EINVAL;
    }
    if ((call.flags & pidfd) != 0 && (call.flags & parent_settid) != 0 &&
        call.pidfd == call.parent_tid) {
        return EINVAL;
    }
    if (call.stack == 0) {
        return call.stack_size == 0 ? 0 : EINVAL;
    }
    const bool within = call.stack <= user_end && call.stack_size <= user_end - call.stack;
    return call.stack_size != 0 && within ? 0 : EINVAL;
}

std::string describe(const Verdict &verdict)
{
    std::ostringstream text;
    if (const int *const err = std::get_if<int>(&verdict)) {
        text << "errno " << *err;
        return text.str();
    }
    const auto &effect = std::get<Effect>(verdict);
    text << std::hex << "flags " << effect.flags << " signal " << effect.exit_signal << " sp "
         << effect.stack_pointer << " pidfd " << effect.pidfd << " child_tid " << effect.child_tid
         << " parent_tid " << effect.parent_tid << " tls " << effect.tls << " set_tid" << std::dec;
    for (const pid_t pid : effect.set_tid) {
        text << ' ' << pid;
    }
    return text.str();
}

std::string describe(const Request &request, const Facts &facts)
{
    std::ostringstream text;
    text << std::hex << "flags " << request.flags << " stack " << request.child_stack << std::dec
         << " level " << facts.level << (facts.privileged ? " privileged" : " unprivileged")
         << " nr_pids " << request.nr_pids
         << (request.pids_readable ? " pids" : " pids unreadable");
    for (const pid_t pid : request.asked()) {
        text << ' ' << pid;
    }
    return text.str();
}

/// The final outcome of the plan, as far as the arguments decide it.
Verdict final_verdict(const Plan &planned, const Request &request, const Facts &facts)
{
    if (const auto *const refusal = std::get_if<Refusal>(&planned)) {
        return refusal->err;
    }
    const auto &call = std::get<CloneCall>(planned);
    const int err = call.plain ? clone_argument_error(call) : clone3_refusal(call, request, facts);
    if (err != 0) {
        return judge_failure(call, request.nr_pids, facts, err).err;
    }
    return effect_of(call);
}

std::string check_form(const Plan &planned)
{
    if (const auto *const refusal = std::get_if<Refusal>(&planned)) {
        return refusal->err <= 0 || refusal->why.empty() ? "a refusal without errno or reason" : "";
    }
    const auto &call = std::get<CloneCall>(planned);
    if (call.plain && (call.flags >> 32U != 0 || call.set_tid_size != 0 || call.exit_signal != 0 ||
                       call.stack != 0 || call.stack_size != 0 || call.pidfd != 0)) {
        return "a clone(2) with what only clone3 knows";
    }
    if (call.set_tid_size > std::size(call.set_tid)) {
        return "set_tid_size beyond set_tid";
    }
    for (std::size_t i = 0; i < 64; ++i) {
        const bool pick = (call.to_pick >> i & 1U) != 0;
        if (pick != (i < call.set_tid_size && call.set_tid[i] == 0)) {
            return "to_pick does not name the zeros of set_tid";
        }
    }
    return "";
}

} // namespace

Verdict spec_verdict(const Request &request, const Facts &facts)
{
    // SPEC.md, "Errors": 2, 3, 4, 5.
    if ((request.flags >> 32U & ~1ULL) != 0) {
        return EINVAL;
    }
    if (request.nr_pids > facts.level + 1) {
        return EINVAL;
    }
    if (request.nr_pids > 0 && !request.pids_readable) {
        return EFAULT;
    }
    if (request.nr_pids > 0 && !facts.privileged) {
        return EPERM;
    }
    // 6: clone(2)'s own rules.
    const std::uint64_t flags = request.flags;
    if ((flags & pidfd) != 0 && (flags & (parent_settid | detached)) != 0) {
        return EINVAL;
    }
    // clone3(2): the two contradict each other.
    if ((flags & sighand) != 0 && (flags & clear_sighand) != 0) {
        return EINVAL;
    }
    Effect effect;
    effect.flags = flags & (lower_flags | clear_sighand) & ~(detached | ptrace_flag | untraced);
    const std::uint64_t signal = flags & exit_signal_mask;
    if ((flags & (thread | parent)) == 0 && signal <= highest_signal) {
        effect.exit_signal = signal;
    }
    effect.stack_pointer = request.child_stack;
    effect.pidfd = (flags & pidfd) != 0 ? request.parent_tid : 0;
    effect.parent_tid = (flags & parent_settid) != 0 ? request.parent_tid : 0;
    effect.child_tid = (flags & (child_settid | child_cleartid)) != 0 ? request.child_tid : 0;
    effect.tls = (flags & settls) != 0 ? request.tls : 0;
    // "Pids": right-aligned, and the oldest ones that may be any are left to the kernel.
    const auto asked = request.asked();
    std::size_t left = 0;
    while (left < asked.size() && asked[left] == 0) {
        ++left;
    }
    if (left < asked.size()) {
        if ((flags & newpid) != 0) {
            effect.set_tid.push_back(1);
        }
        for (std::size_t i = asked.size(); i > left; --i) {
            effect.set_tid.push_back(asked[i - 1]);
        }
    }
    return effect;
}

int clone3_refusal(const CloneCall &call, const Request &request, const Facts &facts)
{
    if (call.set_tid_size > most_set_tid) {
        return EINVAL;
    }
    if (const int err = clone3_argument_error(call); err != 0) {
        return err;
    }
    const unsigned extra = (call.flags & newpid) != 0 ? 1 : 0;
    if (call.set_tid_size > facts.level + extra + 1) {
        return EINVAL;
    }
    for (std::size_t i = 0; i < call.set_tid_size; ++i) {
        const bool picked = (call.to_pick >> i & 1U) != 0;
        const pid_t pid = picked ? free_pid : call.set_tid[i];
        if (pid < 1 || pid >= pid_max) {
            // Only if the order in SPEC.md alone does not lead here.
            if (!facts.privileged || request.nr_pids > facts.level + 1) {
                return EINVAL;
            }
            continue;
        }
        if (!facts.privileged && i == request.nr_pids - 1 + extra) {
            return EPERM;
        }
    }
    return 0;
}

Effect effect_of(const CloneCall &call)
{
    Effect effect;
    effect.flags = call.flags & ~(ptrace_flag | untraced);
    effect.exit_signal = call.exit_signal;
    effect.stack_pointer = call.child_sp != 0 ? call.child_sp : call.stack + call.stack_size;
    effect.pidfd = (call.flags & pidfd) != 0 ? call.pidfd : 0;
    if (call.plain) {
        const std::uint64_t signal = call.flags & exit_signal_mask;
        effect.flags &= lower_flags & ~detached;
        effect.exit_signal =
            (call.flags & (thread | parent)) == 0 && signal <= highest_signal ? signal : 0;
        effect.pidfd = (call.flags & pidfd) != 0 ? call.parent_tid : 0;
    }
    effect.parent_tid = (call.flags & parent_settid) != 0 ? call.parent_tid : 0;
    effect.child_tid = (call.flags & (child_settid | child_cleartid)) != 0 ? call.child_tid : 0;
    effect.tls = (call.flags & settls) != 0 ? call.tls : 0;
    effect.set_tid.assign(call.set_tid, call.set_tid + call.set_tid_size);
    return effect;
}

std::string disagreement(const Request &request, const Facts &facts)
{
    const Verdict wanted = spec_verdict(request, facts);
    const auto compare = [&](const char *how, const std::optional<Facts> &known) {
        const Plan planned = plan(request, known);
        if (const std::string bad = check_form(planned); !bad.empty()) {
            return bad + " (" + how + "): " + describe(request, facts);
        }
        const Verdict found = final_verdict(planned, request, facts);
        if (found == wanted) {
            return std::string();
        }
        return std::string(how) + ": " + describe(request, facts) +
               "\n  SPEC.md: " + describe(wanted) + "\n  planner: " + describe(found);
    };
    std::string bad = compare("with facts", facts);
    if (bad.empty() && !needs_facts(request)) {
        bad = compare("without facts", std::nullopt);
    }
    return bad;
}

void Tally::compare(const Request &request, const Facts &facts)
{
    ++compared_;
    const std::string bad = disagreement(request, facts);
    if (!bad.empty()) {
        ++wrong_;
        if (first_.empty()) {
            first_ = bad;
        }
    }
}

} // namespace clone2::test
