// SPDX-License-Identifier: MIT
//
// Generates the manual page at build time, from the same texts as --help.
#include "cli/options.hpp"

#include <cstdio>
#include <regex>
#include <string>

namespace
{

/// Escapes text for troff: no accidental requests, and hyphens that can be copied.
std::string escape(const std::string &text)
{
    std::string escaped;
    for (const char c : text) {
        if (c == '\\') {
            escaped += "\\e";
        } else if (c == '-') {
            escaped += "\\-";
        } else {
            escaped += c;
        }
    }
    return escaped;
}

/// Formats a line of the synopsis: options in bold, placeholders in italics.
std::string marked_up(const std::string &text)
{
    const std::string bold =
        std::regex_replace(escape(text), std::regex(R"((\\-)+[a-z]([a-z]|\\-)*)"), R"(\fB$&\fR)");
    return std::regex_replace(bold, std::regex("[A-Z]{2,}"), R"(\fI$&\fR)");
}

} // namespace

int main()
{
    using namespace clone2::cli;
    std::string page =
        ".TH CLONE2\\-SUPERVISE 1 \"\" \"clone2\\-supervise " CLONE2_VERSION "\"\n"
        ".SH NAME\nclone2\\-supervise \\- run a program with the clone2 system call\n"
        ".SH SYNOPSIS\n";
    for (const std::string &line : usage()) {
        page += ".B clone2\\-supervise\n" + marked_up(line) + "\n.br\n";
    }
    page += ".SH DESCRIPTION\n"
            "Runs PROGRAM so that it and all its descendants have the system call\n"
            "clone2, a clone(2) whose caller chooses the child's pid in each of its\n"
            "pid namespaces. Neither the program nor the kernel needs to be changed.\n"
            "Standard input and output, the terminal and job control are the\n"
            "program's own. Signals sent to clone2\\-supervise are forwarded to it, all\n"
            "that can be caught except SIGCHLD; it gets a signal to the whole process\n"
            "group once. Processes that PROGRAM leaves behind are served in the\n"
            "background until the last one has ended.\n"
            ".PP\n"
            "Choosing pids needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the\n"
            "program, in the user namespace that owns each pid namespace concerned;\n"
            "\\-\\-pidns gives that to unprivileged users.\n"
            ".SH OPTIONS\n";
    for (const Option &option : all_options()) {
        page += ".TP\n.B " + escape(spelled(option)) + "\n" + escape(option.text) + ".\n";
    }
    page += ".SH EXIT STATUS\n";
    for (const ExitText &exit : exit_texts()) {
        page += std::string(".TP\n.B ") + exit.status + "\n" + escape(exit.text) + ".\n";
    }
    page +=
        ".SH NOTES\n"
        "A call may fail with EINTR if a signal handler without SA_RESTART ran before the\n"
        "supervisor received the call; no supervisor can close that gap. A program under\n"
        "strace or a debugger gets EPERM: a thread has only one tracer.\n"
        ".PP\n"
        "LISTEN_PID, WATCHDOG_PID and SYSTEMD_EXEC_PID name PROGRAM if they named\n"
        "clone2\\-supervise. A systemd unit's main process is clone2\\-supervise: with\n"
        "Type=notify or WatchdogSec= it needs NotifyAccess=all.\n"
        ".PP\n"
        "The usage that time(1) and wait4(2) report of clone2\\-supervise includes that of\n"
        "PROGRAM and of the processes it waited for. If PROGRAM leaves processes behind, only\n"
        "\\-\\-wait\\-all reports it, with theirs.\n"
        ".PP\n"
        "If the same signal is sent to the process group and to clone2\\-supervise alone within\n"
        "a millisecond, PROGRAM may get it only once. If a signal is sent to each process by its\n"
        "pid, as systemd does with KillMode=control\\-group, PROGRAM may get it twice:\n"
        "KillMode=mixed sends SIGTERM to clone2\\-supervise alone. PROGRAM sees its parent as\n"
        "the sender of a forwarded signal; sigqueue(3) keeps its value and its sender.\n"
        "If PROGRAM has left its process group, signals to the group are also forwarded to it,\n"
        "except the terminal's. Signals 32 and 33, the C library's own, are not forwarded.\n"
        ".PP\n"
        "A line is in the log before the program has its result, if the file accepts it at\n"
        "once. A FIFO is opened without waiting for a reader. At the end, lines that still can't\n"
        "be written, as to a pipe without a reader, are dropped after three seconds.\n"
        ".PP\n"
        "PROGRAM's own processes report the results in the log and the statistics: a hostile\n"
        "one can report anything. An impossible result is logged as EBADMSG, and one that does\n"
        "not match the plan has a doubt after it, in brackets.\n"
        ".PP\n"
        "A policy guides programs that cooperate and confines nobody: a program that may\n"
        "choose pids may call clone3 itself. To confine a program, take CAP_SYS_ADMIN and\n"
        "CAP_CHECKPOINT_RESTORE from it.\n"
        ".SH SEE ALSO\n"
        ".BR clone (2),\n.BR seccomp_unotify (2),\n.BR pid_namespaces (7)\n";
    std::fputs(page.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}
