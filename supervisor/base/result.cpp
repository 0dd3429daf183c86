// SPDX-License-Identifier: MIT
#include "base/result.hpp"

#include <system_error>

namespace clone2
{

namespace
{

struct Meaning {
    int err; ///< where no operation failed
    const char *text;
};

Meaning meaning_of(Cause cause)
{
    switch (cause) {
    case Cause::errno_alone:
        return {0, ""};
    case Cause::forbidden:
        return {0, "the supervisor may not do that to the caller, or a seccomp filter forbids it"};
    case Cause::missing:
        return {0, "missing from this kernel, or forbidden by a seccomp filter"};
    case Cause::target_gone:
        // Refused for this: only a target whose notification says that it is there.
        return {0, "but the caller still exists: a seccomp filter or another tracer hides it from "
                   "the supervisor"};
    case Cause::no_descriptor:
        return {0, "the supervisor has no file descriptor left for this call"};
    case Cause::not_traceable:
        return {0, "the caller is traced by a debugger or strace, or the supervisor may not trace "
                   "it"};
    case Cause::target_moved:
        return {ESTALE, "the caller has left its call"};
    case Cause::slots_in_use:
        return {EAGAIN, "too many calls under way in this address space"};
    case Cause::no_room:
        return {ENOSYS, "no room for the trampoline in the target: neither the vdso nor the "
                        "program's text has an unused tail"};
    case Cause::no_exit:
        return {ENOSYS, "no room for another place in the program that makes the call"};
    case Cause::other_code_segment:
        return {ENOSYS, "the call comes from a code segment of another width than the program's"};
    case Cause::no_memory:
        return {ENOMEM, "no memory in the target for the calls' data"};
    case Cause::calls_dispatched:
        return {ENOSYS, "the caller's system calls are dispatched to its own SIGSYS handler "
                        "(syscall user dispatch), and ours would be, too"};
    case Cause::second_listener:
        return {EBUSY,
                "this process already has a seccomp listener (from another clone2-supervise "
                "or a container's): the kernel allows only one on a filter chain. libclone2 works "
                "there (LD_PRELOAD=libclone2.so.1)"};
    case Cause::no_notifications:
        return {EINVAL, "this kernel has no seccomp user notification (5.0 or later needed)"};
    case Cause::child_killed:
        return {EINTR, "a child was killed"};
    }
    return {0, ""};
}

/// What any system call means by its errno.
Cause cause_of(int err)
{
    switch (err) {
    case ESRCH:
    case ENOENT:
        return Cause::target_gone;
    case EPERM:
    case EACCES:
        return Cause::forbidden;
    case ENOSYS:
        return Cause::missing;
    case EMFILE:
    case ENFILE:
        return Cause::no_descriptor;
    default:
        return Cause::errno_alone;
    }
}

} // namespace

Error::Error(const char *failed, pid_t target, int errno_value)
    : Error(failed, target, errno_value, cause_of(errno_value))
{
}

Error::Error(Cause why, pid_t target) : tid(target), err(meaning_of(why).err), cause(why) {}

int Error::errno_for_target() const
{
    switch (cause) {
    case Cause::target_gone: // ESRCH, ENOENT
        return EPERM;
    case Cause::no_descriptor: // the target has enough of them
        return EAGAIN;
    default:
        return err;
    }
}

std::string Error::to_string() const
{
    std::string text = operation;
    if (text.empty()) {
        return meaning_of(cause).text;
    }
    if (tid != 0) {
        // "ptrace(PTRACE_SEIZE)" becomes "ptrace(PTRACE_SEIZE, 4711)".
        if (text.back() == ')') {
            text.pop_back();
            text += (text.ends_with('(') ? "" : ", ") + std::to_string(tid) + ")";
        } else {
            text += "(" + std::to_string(tid) + ")";
        }
    }
    return text + ": " + std::generic_category().message(err);
}

std::string Error::refusal() const
{
    const std::string meaning = meaning_of(cause).text;
    const bool is_all = meaning.empty() || *operation == '\0';
    return is_all ? to_string() : to_string() + "; " + meaning;
}

void throw_exception_from_error(const Error &error, const boost::source_location & /*where*/)
{
    throw std::system_error(error.err, std::generic_category(), error.operation);
}

} // namespace clone2
