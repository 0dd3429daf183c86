// SPDX-License-Identifier: MIT
#include "capture.hpp"
#include "descriptor.hpp"
#include "proc_files.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <optional>
#include <set>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <thread>

namespace pstree
{

namespace
{

constexpr int tries = 50;

/// One read of the tree. Throws Gone if a task has ended in between.
class Reader
{
public:
    void read(const std::vector<int> &roots)
    {
        std::map<int, std::vector<int>> children;
        for (const int pid : numeric_entries("")) {
            try {
                children[read_stat(std::to_string(pid)).ppid].push_back(pid);
            } catch (const Gone &) { // then it is not in the tree
            }
        }
        std::vector<int> todo = roots;
        while (!todo.empty()) {
            const int pid = todo.back();
            todo.pop_back();
            read_process(pid);
            const std::vector<int> &below = children[pid];
            todo.insert(todo.end(), below.begin(), below.end());
        }
        validate(result.tree);
        canonicalise(result.tree);
        std::sort(result.notes.begin(), result.notes.end());
    }

    Capture result;

private:
    void read_process(int pid)
    {
        const std::string path = std::to_string(pid);
        const Stat stat = read_stat(path);
        const std::vector<int> tasks = numeric_entries(path + "/task");
        Process process;
        process.name = read_comm(path);
        process.ppid = stat.ppid;
        process.pids = read_status_line(path, "NSpid");
        process.pgid = read_status_line(path, "NSpgid");
        process.sid = read_status_line(path, "NSsid");
        if (pid == getpid()) {
            result.notes.push_back(who(process) + " left out: it is reading the tree");
            return;
        }
        if (stat.state == 'Z' && tasks.size() <= 1) {
            result.notes.push_back(who(process) + " left out: a zombie");
            return;
        }
        if (stat.state == 'Z') {
            result.notes.push_back(who(process) +
                                   " has ended but its threads live on: counted as alive");
        }
        for (const int tid : tasks) {
            if (tid != pid) {
                read_thread(process, path + "/task/" + std::to_string(tid));
            }
        }
        find_namespace(process);
        result.tree.processes.push_back(std::move(process));
    }

    void read_thread(Process &process, const std::string &path)
    {
        const Stat stat = read_stat(path);
        const Thread thread{read_status_line(path, "NSpid"), read_comm(path)};
        if (stat.state == 'Z' || stat.state == 'X') {
            throw Gone(); // exiting
        }
        if (stat.kernel_worker) {
            result.notes.push_back("thread " + to_text(thread.tids) + " (" +
                                   escape_name(thread.name) + ") left out: a kernel worker");
        } else {
            process.threads.push_back(thread);
        }
    }

    /// NSpid shows how deep the process is; only its namespaces' inodes show where.
    void find_namespace(Process &process)
    {
        if (process.pids.size() <= 1) {
            return;
        }
        const std::string file = "/proc/" + std::to_string(process.id()) + "/ns/pid";
        Descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
        if (fd.get() < 0 && (errno == EACCES || errno == EPERM)) {
            throw Failure(file + ": " + std::strerror(errno) +
                          " (a nested pid namespace can only be read with its owner's rights)");
        }
        std::vector<ino_t> inodes; // innermost first
        for (std::size_t level = process.pids.size(); level-- > 1;) {
            struct stat info = {};
            if (fd.get() < 0 || fstat(fd.get(), &info) < 0) {
                throw Gone();
            }
            inodes.push_back(info.st_ino);
            fd = Descriptor(ioctl(fd.get(), NS_GET_PARENT));
        }
        std::vector<std::size_t> &namespaces = result.tree.namespaces;
        for (auto inode = inodes.rbegin(); inode != inodes.rend(); ++inode) {
            const auto [it, fresh] = numbers_.emplace(*inode, namespaces.size());
            if (fresh) {
                namespaces.push_back(process.ns);
            }
            process.ns = it->second;
        }
    }

    std::map<ino_t, std::size_t> numbers_;
};

void check_proc()
{
    try {
        if (read_status_line("self", "NSpid") == Pids{getpid()}) {
            return;
        }
    } catch (const Gone &) { // not mounted
    }
    throw Failure("/proc doesn't show this pid namespace: mount a new one (Linux 4.1 or later)");
}

void check_root(int pid)
try {
    const std::string path = std::to_string(pid);
    if (read_status_line(path, "Tgid") != Pids{pid}) {
        throw Failure(path + " is a thread of another process");
    }
    if (read_stat(path).state == 'Z' && numeric_entries(path + "/task").size() <= 1) {
        throw Failure("process " + path + " is a zombie");
    }
    if (pid == getpid()) {
        throw Failure("a process can't capture itself");
    }
} catch (const Gone &) {
    throw Failure("there is no process " + std::to_string(pid));
}

} // namespace

Capture capture(const std::vector<int> &roots)
{
    check_proc();
    std::optional<Tree> previous;
    std::string trouble;
    for (int attempt = 0; attempt < tries; attempt++) {
        std::for_each(roots.begin(), roots.end(), check_root);
        Reader reader;
        try {
            reader.read(roots);
            if (previous && differences(*previous, reader.result.tree).empty()) {
                return reader.result;
            }
            previous = reader.result.tree;
            trouble = "no two reads agreed";
        } catch (const Gone &) {
            previous.reset();
            trouble = "processes or threads kept ending while they were read";
        } catch (const Failure &failure) { // a contradiction may come from changes during the read
            previous.reset();
            trouble = failure.what();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    throw Failure("gave up after " + std::to_string(tries) + " reads: " + trouble);
}

std::vector<int> numbers_in_use()
{
    std::set<int> numbers = {1};
    for (const int pid : numeric_entries("")) {
        numbers.insert(pid);
        try {
            const std::string path = std::to_string(pid);
            for (const int tid : numeric_entries(path + "/task")) {
                numbers.insert(tid);
            }
            numbers.insert(read_status_line(path, "NSpgid").at(0));
            numbers.insert(read_status_line(path, "NSsid").at(0));
        } catch (const Gone &) { // its number will be free soon
        }
    }
    numbers.erase(0);
    return {numbers.begin(), numbers.end()};
}

} // namespace pstree
