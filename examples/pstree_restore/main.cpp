// SPDX-License-Identifier: MIT
#include "capture.hpp"
#include "clone2_call.hpp"
#include "execute.hpp"
#include "json_io.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <getopt.h>
#include <iostream>
#include <iterator>

namespace
{

using namespace pstree;

constexpr const char *usage_text = R"(Usage: pstree_restore --capture PID
       pstree_restore [--verify] TREE.json
Reads a live process tree, or creates one with the same pids by clone2.

  --capture PID  write the tree from PID down to standard output, as JSON
  --verify       compare the restored tree with TREE.json, print what differs and end it;
                 without it the tree stays until SIGINT or SIGTERM
  --help         print this

Restoring needs clone2 and rights over the pid namespace:
       clone2-supervise --pidns -- pstree_restore --verify TREE.json
The processes are sleeping stand-ins with the pids, thread ids, parents, process groups, sessions,
pid namespaces and names of the tree. CLONE2_NR=NUMBER in the environment replaces
system call number 387.

Exit status: 0 done, or the same; 1 failed, or different; 2 wrong usage.
)";

struct Options {
    int capture = 0;
    bool verify = false;
    long number = default_clone2_number;
    const char *file = nullptr;
};

void say(const std::string &message)
{
    std::cout.flush();
    std::cerr << "pstree_restore: " << printable(message) << "\n";
}

[[noreturn]] void wrong_usage(const std::string &message)
{
    say(message);
    std::cerr << "Try 'pstree_restore --help'.\n";
    std::exit(2);
}

int parse_number(const char *text, const std::string &what, int low, int high)
{
    char *end = nullptr;
    errno = 0;
    const long number = std::strtol(text, &end, 0);
    if (*text == '\0' || *end != '\0' || errno != 0 || number < low || number > high) {
        wrong_usage(what + " should be a number from " + std::to_string(low) + " to " +
                    std::to_string(high) + ": " + text);
    }
    return static_cast<int>(number);
}

Options parse_options(int argc, char **argv)
{
    static const option long_options[] = {{"capture", required_argument, nullptr, 'c'},
                                          {"verify", no_argument, nullptr, 'v'},
                                          {"help", no_argument, nullptr, 'h'},
                                          {}};
    opterr = 0;
    Options options;
    if (const char *number = std::getenv("CLONE2_NR"); number != nullptr && *number != '\0') {
        options.number = parse_number(number, "CLONE2_NR", 0, 0xffff);
    }
    for (int choice = 0; (choice = getopt_long(argc, argv, "h", long_options, nullptr)) != -1;) {
        if (choice == 'c') {
            options.capture = parse_number(optarg, "--capture", 1, pid_limit - 1);
        } else if (choice == 'v') {
            options.verify = true;
        } else if (choice == 'h') {
            std::cout << usage_text;
            std::exit(0);
        } else {
            wrong_usage(std::string("no such option, or its value is missing: ") +
                        argv[optind - 1]);
        }
    }
    if (options.capture != 0 && (optind != argc || options.verify)) {
        wrong_usage("--capture takes no other options or files");
    }
    if (options.capture == 0 && argc - optind != 1) {
        wrong_usage(optind == argc ? "no tree to restore" : "one tree at a time");
    }
    options.file = argv[optind];
    return options;
}

int write_capture(int root)
{
    const auto [tree, notes] = capture({root});
    for (const std::string &note : notes) {
        say(note);
    }
    std::cout << dump_tree(tree, notes) << std::flush;
    if (!std::cout) {
        throw Failure("can't write the tree");
    }
    return 0;
}

Tree read_tree(const std::string &path)
try {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw Failure(std::strerror(errno));
    }
    return parse_tree(file);
} catch (const std::exception &error) {
    throw Failure(path + ": " + error.what());
}

/// Reads back the restored tree.
Tree read_copy(const Tree &tree)
{
    std::vector<int> roots;
    for (const Process &process : tree.processes) {
        if (process.ppid == 0) {
            roots.push_back(process.id());
        }
    }
    Tree copy = capture(roots).tree;
    for (Process &process :
         copy.processes) { // in a copy, the restorer's ids stand for those outside
        if (process.sid[0] == getsid(0)) {
            std::fill(process.sid.begin(), process.sid.end(), 0);
        }
        if (process.pgid[0] == getpgid(0)) {
            std::fill(process.pgid.begin(), process.pgid.end(), 0);
        }
    }
    return copy;
}

std::string counted(std::size_t number, const std::string &what, const std::string &ending)
{
    return std::to_string(number) + " " + what + (number == 1 ? "" : ending);
}

std::string counts(const Tree &tree)
{
    const std::size_t spaces = tree.namespaces.size() - 1;
    return counted(tree.processes.size(), "process", "es") + " and " +
           counted(tree.thread_count(), "more thread", "s") +
           (spaces == 0 ? "" : ", " + counted(spaces, "nested pid namespace", "s"));
}

int restore(const Options &options)
{
    Tree tree = read_tree(options.file);

    sigset_t ending; // blocked before anything is created, so that everything gets ended
    sigemptyset(&ending);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&ending, signal);
    }
    sigprocmask(SIG_BLOCK, &ending, nullptr);

    const std::vector<int> taken = numbers_in_use();
    const std::vector<int> used = used_numbers(tree, 0);
    std::vector<int> clash;
    std::set_intersection(used.begin(), used.end(), taken.begin(), taken.end(),
                          std::back_inserter(clash));
    if (!clash.empty()) {
        say(counted(clash.size(), "number", "s") + " of the tree in use here, e.g. " +
            std::to_string(clash.front()) + ": giving the tree a nested pid namespace");
        tree = wrap_in_namespace(tree, taken);
    }
    const Plan plan = make_plan(tree, taken);
    Restoration restoration(plan, options.number);
    restoration.run(ending);
    const Tree copy = read_copy(tree);
    std::cout << draw(copy);
    if (!options.verify) {
        std::cout << "restored " << counts(copy) << "; they end with SIGINT or SIGTERM to "
                  << getpid() << std::endl;
        sigwaitinfo(&ending, nullptr);
        return 0;
    }
    const std::vector<std::string> lines = differences(tree, copy);
    for (const std::string &line : lines) {
        std::cout << "differs: " << line << "\n";
    }
    if (lines.empty()) {
        std::cout << "identical: " << counts(copy) << "\n";
    }
    std::cout << std::flush;
    return lines.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
try {
    const Options options = parse_options(argc, argv);
    return options.capture != 0 ? write_capture(options.capture) : restore(options);
} catch (const std::exception &error) {
    say(error.what());
    return 1;
}
