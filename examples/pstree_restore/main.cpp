// SPDX-License-Identifier: MIT
#include "capture.hpp"
#include "clone2_call.hpp"
#include "execute.hpp"
#include "json_io.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <getopt.h>
#include <iostream>
#include <iterator>
#include <sstream>
#include <system_error>

namespace
{

using namespace pstree;

constexpr std::size_t max_file = 64UL << 20;
constexpr int default_tries = 50;

constexpr const char *usage_text = R"(Usage: pstree_restore --capture PID [--tries N]
       pstree_restore [--verify] [--nr N] TREE.json
Reads a live process tree, or creates one with the same pids by clone2.

  --capture PID  write the tree from PID down to standard output, as JSON
  --tries N      read up to N times until two reads agree (default 50)
  --verify       compare the restored tree with TREE.json, print what differs and end it;
                 without it the tree stays until SIGINT or SIGTERM
  --nr N         clone2's system-call number (default 387, or CLONE2_NR of the environment)
  --help         print this

Restoring needs clone2 and rights over the pid namespace:
       clone2-supervise --pidns -- pstree_restore --verify TREE.json
The processes are sleeping stand-ins with the pids, thread ids, parents, process groups, sessions,
pid namespaces and names of the tree; "-" reads it from standard input.

Exit status: 0 done, or the same; 1 failed, or different; 2 wrong usage.
)";

struct Options {
    int capture = 0;
    int tries = default_tries;
    bool verify = false;
    long number = default_clone2_number;
    std::string file;
};

void say(const std::string &message)
{
    std::cerr << "pstree_restore: " << printable(message) << "\n";
}

[[noreturn]] void wrong_usage(const std::string &message)
{
    say(message);
    std::cerr << "Try 'pstree_restore --help'.\n";
    std::exit(2);
}

int fail(const std::string &message)
{
    std::cout.flush();
    say(message);
    return 1;
}

long parse_number(const char *text, const std::string &what, long low, long high)
{
    char *end = nullptr;
    errno = 0;
    const long number = std::strtol(text, &end, 0);
    if (*text == '\0' || *end != '\0' || errno != 0 || number < low || number > high)
        wrong_usage(what + " should be a number from " + std::to_string(low) + " to " +
                    std::to_string(high) + ": " + escape_name(text));
    return number;
}

Options parse_options(int argc, char **argv)
{
    enum : int { capture_option = 256, tries_option, verify_option, nr_option, help_option };
    static const option long_options[] = {{"capture", required_argument, nullptr, capture_option},
                                          {"tries", required_argument, nullptr, tries_option},
                                          {"verify", no_argument, nullptr, verify_option},
                                          {"nr", required_argument, nullptr, nr_option},
                                          {"help", no_argument, nullptr, help_option},
                                          {}};
    Options options;
    if (const char *number = std::getenv("CLONE2_NR"); number != nullptr && *number != '\0')
        options.number = parse_number(number, "CLONE2_NR", 0, 0xffff);
    for (int choice = 0; (choice = getopt_long(argc, argv, "h", long_options, nullptr)) != -1;) {
        switch (choice) {
        case capture_option:
            options.capture = static_cast<int>(parse_number(optarg, "--capture", 1, pid_limit - 1));
            break;
        case tries_option:
            options.tries = static_cast<int>(parse_number(optarg, "--tries", 2, INT_MAX));
            break;
        case verify_option:
            options.verify = true;
            break;
        case nr_option:
            options.number = parse_number(optarg, "--nr", 0, 0xffff);
            break;
        case 'h':
        case help_option:
            std::cout << usage_text;
            std::exit(0);
        default:
            std::cerr << "Try 'pstree_restore --help'.\n"; // getopt has said what is wrong
            std::exit(2);
        }
    }
    if (options.capture != 0 && (optind != argc || options.verify))
        wrong_usage("--capture goes with --tries only");
    if (options.capture == 0 && argc - optind != 1)
        wrong_usage(optind == argc ? "no tree to restore" : "one tree at a time");
    if (options.capture == 0)
        options.file = argv[optind];
    return options;
}

int write_capture(const Options &options)
{
    const auto result = capture({options.capture}, options.tries);
    if (const auto *fault = std::get_if<std::string>(&result))
        return fail(*fault);
    const auto &[tree, notes] = std::get<Capture>(result);
    for (const std::string &note : notes)
        say(note);
    std::cout << dump_tree(tree, notes) << std::flush;
    return std::cout ? 0 : fail("can't write the tree");
}

std::variant<Tree, std::string> read_tree(const std::string &path)
{
    std::ifstream file;
    if (path != "-") {
        file.open(path, std::ios::binary);
        if (!file)
            return path + ": " + std::strerror(errno);
    }
    std::istream &input = path == "-" ? std::cin : file;
    std::string text(max_file + 1, '\0');
    input.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (input.bad() || (input.gcount() == 0 && !input.eof()))
        return path + ": can't be read";
    text.resize(static_cast<std::size_t>(input.gcount()));
    if (text.size() > max_file)
        return path + ": bigger than " + std::to_string(max_file >> 20) + " MiB";
    auto tree = parse_tree(text);
    if (auto *fault = std::get_if<std::string>(&tree))
        *fault = path + ": " + *fault;
    return tree;
}

/// In a copy, the session and group outside the tree are the restorer's own.
void forget_outside(Tree &copy, int sid, int pgid)
{
    for (Process &process : copy.processes) {
        if (process.sid[0] == sid)
            std::fill(process.sid.begin(), process.sid.end(), 0);
        if (process.pgid[0] == pgid)
            std::fill(process.pgid.begin(), process.pgid.end(), 0);
    }
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

/// Reads back what was restored; on failure the reason.
std::variant<Tree, std::string> read_copy(const Tree &tree, bool wrapped)
{
    std::vector<int> roots;
    std::vector<int> ids;
    for (const Process &process : tree.processes)
        ids.push_back(process.id());
    for (const Process &process : tree.processes)
        if (!std::binary_search(ids.begin(), ids.end(), process.ppid))
            roots.push_back(process.id());
    auto result = capture(roots, default_tries);
    if (const auto *fault = std::get_if<std::string>(&result))
        return "reading the restored tree: " + *fault;
    Tree copy = std::move(std::get<Capture>(result).tree);
    forget_outside(copy, getsid(0), getpgid(0));
    return wrapped ? unwrap_namespace(copy) : copy;
}

int restore(const Options &options)
{
    auto wanted = read_tree(options.file);
    if (const auto *fault = std::get_if<std::string>(&wanted))
        return fail(*fault);
    Tree tree = std::move(std::get<Tree>(wanted));
    canonicalise(tree);

    sigset_t ending; // before anything is created, so that everything is ended, too
    sigemptyset(&ending);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&ending, signal);
    sigprocmask(SIG_BLOCK, &ending, nullptr);

    if (const auto fault = proc_fault())
        return fail(*fault);
    std::vector<int> taken = numbers_in_use();
    if (!std::binary_search(taken.begin(), taken.end(), 1))
        taken.insert(taken.begin(), 1);
    std::vector<int> clash;
    const std::vector<int> used = used_numbers(tree, 0);
    std::set_intersection(used.begin(), used.end(), taken.begin(), taken.end(),
                          std::back_inserter(clash));
    const bool wrapped = !clash.empty();
    if (wrapped)
        say(counted(clash.size(), "number", "s") + " of the tree in use here, e.g. " +
            std::to_string(clash.front()) + ": giving the tree a nested pid namespace");
    const Tree placed = wrapped ? wrap_in_namespace(tree, taken) : tree;

    const auto planned = make_plan(placed, taken);
    if (const auto *fault = std::get_if<std::string>(&planned))
        return fail("can't be restored: " + *fault);
    Restoration restoration(std::get<Plan>(planned), options.number);
    if (const auto fault = restoration.run())
        return fail(*fault + "; everything created was ended");
    const auto result = read_copy(placed, wrapped);
    if (const auto *fault = std::get_if<std::string>(&result))
        return fail(*fault);
    const Tree &copy = std::get<Tree>(result);
    std::cout << draw(copy);
    if (!options.verify) {
        std::cout << "restored " << counts(copy) << "; they end with SIGINT or SIGTERM to "
                  << getpid() << std::endl;
        sigwaitinfo(&ending, nullptr);
        return 0;
    }
    const std::vector<std::string> lines = differences(tree, copy);
    for (const std::string &line : lines)
        std::cout << "differs: " << line << "\n";
    if (lines.empty())
        std::cout << "identical: " << counts(copy) << "\n";
    std::cout << std::flush;
    return lines.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
try {
    const Options options = parse_options(argc, argv);
    return options.capture != 0 ? write_capture(options) : restore(options);
} catch (const std::exception &error) {
    return fail(error.what());
}
