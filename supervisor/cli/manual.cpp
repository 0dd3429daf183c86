// SPDX-License-Identifier: MIT
//
// Writes the manual page to stdout when the project is built, from the same texts as --help.
#include "cli/options.hpp"

#include <cstdio>
#include <regex>
#include <string>

namespace
{

/// Text for troff: no accidental requests, hyphens that can be copied.
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

/// A line of the synopsis: options in bold, what stands for something else in italics.
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
            "pid namespaces. The program need not be changed, nor the kernel.\n"
            "Standard input and output, the terminal and job control are the\n"
            "program's own. Signals sent to clone2\\-supervise are handed on to it, all\n"
            "that can be caught but SIGCHLD; what is sent to the whole process group\n"
            "it gets once. Processes that PROGRAM leaves behind are served on in\n"
            "the background until the last one has ended.\n"
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
        "A call may fail with EINTR where a signal handler without SA_RESTART ran before the\n"
        "supervisor had seen it; no supervisor can close that gap. A program under strace or\n"
        "a debugger gets EPERM: a thread has only one tracer.\n"
        ".PP\n"
        "One signal to the process group and the same one to clone2\\-supervise alone, within\n"
        "a millisecond, may come to PROGRAM as one. A signal that is sent to each process\n"
        "by its pid, as systemd does with KillMode=control\\-group, may come to PROGRAM twice:\n"
        "KillMode=mixed sends SIGTERM to clone2\\-supervise alone. The sender that PROGRAM sees\n"
        "of a signal handed on is its parent; the value of sigqueue(3) is kept, and its sender.\n"
        "A PROGRAM that has left its process group gets what is sent to that, too, but for the\n"
        "terminal's signals. Signals 32 and 33, the C library's own, are not handed on.\n"
        ".PP\n"
        "A line is in the log before the program has its result, where the file takes it at\n"
        "once. A FIFO is opened\n"
        "without waiting for its reader. At the end what waits to be written, as to a pipe\n"
        "that nobody reads, is given up after three seconds.\n"
        ".PP\n"
        "The log and the statistics say what PROGRAM's own processes report of how a call\n"
        "ended: a hostile one can report what it likes. A result that can't be one is logged\n"
        "as EBADMSG, and what was not planned so has a doubt behind its result, in brackets.\n"
        ".PP\n"
        "A policy guides programs that cooperate and confines nobody: a program that may\n"
        "choose pids may call clone3 itself. What confines is to take CAP_SYS_ADMIN and\n"
        "CAP_CHECKPOINT_RESTORE away.\n"
        ".SH SEE ALSO\n"
        ".BR clone (2),\n.BR seccomp_unotify (2),\n.BR pid_namespaces (7)\n";
    std::fputs(page.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}
