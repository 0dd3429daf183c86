// SPDX-License-Identifier: MIT
#include "capture.hpp"
#include "proc_files.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace pstree
{

namespace
{

/// Another read won't help.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Descriptor
{
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor &operator=(Descriptor &&other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor()
    {
        if (fd_ >= 0)
            close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

/// One read of the tree. Any method answers false when a task was gone in between.
class Reader
{
public:
    explicit Reader(const std::vector<int> &roots) : roots_(roots) {}

    bool read()
    {
        const auto all = numeric_entries("");
        if (!all)
            throw Refused("can't read /proc");
        std::map<int, std::vector<int>> children;
        std::map<int, Stat> stats;
        for (const int pid : *all) {
            const auto stat = read_stat(std::to_string(pid));
            if (!stat)
                continue;
            stats[pid] = *stat;
            children[stat->ppid].push_back(pid);
        }
        std::vector<int> todo = roots_;
        while (!todo.empty()) {
            const int pid = todo.back();
            todo.pop_back();
            const auto stat = stats.find(pid);
            if (stat == stats.end())
                return false;
            if (!read_process(pid, stat->second))
                return false;
            const std::vector<int> &below = children[pid];
            todo.insert(todo.end(), below.begin(), below.end());
        }
        canonicalise(tree);
        std::sort(notes.begin(), notes.end());
        return true;
    }

    Tree tree;
    std::vector<std::string> notes;

private:
    bool read_process(int pid, const Stat &stat)
    {
        const std::string path = std::to_string(pid);
        const auto name = read_comm(path);
        const auto tasks = numeric_entries(path + "/task");
        if (!name || !tasks)
            return false;
        const std::string who = "process " + path + " (" + escape_name(*name) + ")";
        if (pid == getpid()) {
            notes.push_back(who + " left out: it is the one that reads the tree");
            return true;
        }
        if ((stat.flags & pf_kthread) != 0)
            throw Refused(who + " is a kernel thread");
        if (stat.state == 'Z' && tasks->size() <= 1) {
            notes.push_back(who + " left out: a zombie");
            return true;
        }
        if (stat.state == 'Z')
            notes.push_back(who + " has ended, its threads go on: taken as alive");

        Process process;
        process.name = *name;
        process.ppid = stat.ppid;
        const auto pids = read_status_line(path, "NSpid");
        const auto pgid = read_status_line(path, "NSpgid");
        const auto sid = read_status_line(path, "NSsid");
        if (!pids || !pgid || !sid || pids->empty())
            return false;
        process.pids = *pids;
        process.pgid = *pgid;
        process.sid = *sid;
        for (const int tid : *tasks)
            if (tid != pid && !read_thread(process, path + "/task/" + std::to_string(tid)))
                return false;
        if (!find_namespace(process, path))
            return false;
        tree.processes.push_back(std::move(process));
        return true;
    }

    bool read_thread(Process &process, const std::string &path)
    {
        const auto stat = read_stat(path);
        const auto name = read_comm(path);
        const auto tids = read_status_line(path, "NSpid");
        if (!stat || !name || !tids)
            return false;
        if (stat->state == 'Z' || stat->state == 'X')
            return false; // on its way out
        if ((stat->flags & (pf_io_worker | pf_user_worker)) != 0)
            notes.push_back("thread " + to_text(*tids) + " (" + escape_name(*name) +
                            ") left out: the kernel's own worker");
        else
            process.threads.push_back(Thread{*tids, *name});
        return true;
    }

    /// NSpid tells how deep the process is, only its namespaces' inodes tell where.
    bool find_namespace(Process &process, const std::string &path)
    {
        if (process.pids.size() == 1)
            return true;
        const std::string file = "/proc/" + path + "/ns/pid";
        Descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
        if (fd.get() < 0 && (errno == EACCES || errno == EPERM))
            throw Refused(file + ": " + std::strerror(errno) +
                          " (a nested pid namespace can only be read with its owner's rights)");
        std::vector<ino_t> inodes; // innermost first
        for (std::size_t level = process.pids.size(); level-- > 1;) {
            struct stat info = {};
            if (fd.get() < 0 || fstat(fd.get(), &info) < 0)
                return false;
            inodes.push_back(info.st_ino);
            fd = Descriptor(ioctl(fd.get(), NS_GET_PARENT));
        }
        process.ns = 0;
        for (std::size_t i = inodes.size(); i-- > 0;) {
            const auto [it, fresh] =
                numbers_.emplace(inodes[i], static_cast<int>(tree.namespaces.size()));
            if (fresh)
                tree.namespaces.push_back(Namespace{process.ns});
            process.ns = it->second;
        }
        return true;
    }

    const std::vector<int> &roots_;
    std::map<ino_t, int> numbers_;
};

void check_roots(const std::vector<int> &roots)
{
    if (const auto fault = proc_fault())
        throw Refused(*fault);
    for (const int root : roots) {
        const std::string path = std::to_string(root);
        const auto group = read_status_line(path, "Tgid");
        const auto stat = read_stat(path);
        if (!group || group->empty() || !stat)
            throw Refused("there is no process " + path);
        if (group->front() != root)
            throw Refused(path + " is a thread of process " + std::to_string(group->front()));
        if (stat->state == 'Z' && numeric_entries(path + "/task").value_or(roots).size() <= 1)
            throw Refused("process " + path + " is a zombie");
        if (root == getpid())
            throw Refused("a process can't capture itself");
    }
}

} // namespace

std::variant<Capture, std::string> capture(const std::vector<int> &roots, int tries)
try {
    std::optional<Capture> previous;
    std::string trouble = "no two reads were alike";
    for (int attempt = 0; attempt < tries; attempt++) {
        check_roots(roots);
        if (attempt > 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        Reader reader(roots);
        if (!reader.read()) {
            previous.reset();
            trouble = "processes or threads kept going away while they were read";
            continue;
        }
        if (const auto fault = validate(reader.tree)) {
            previous.reset();
            trouble = *fault;
            continue;
        }
        if (previous && differences(previous->tree, reader.tree).empty())
            return Capture{std::move(reader.tree), std::move(reader.notes)};
        previous = Capture{std::move(reader.tree), std::move(reader.notes)};
        trouble = "no two reads were alike";
    }
    return "the tree did not hold still in " + std::to_string(tries) + " reads: " + trouble;
} catch (const Refused &refused) {
    return refused.what();
}

std::optional<std::string> proc_fault()
{
    const auto own = read_status_line("self", "NSpid");
    if (!own || own->empty())
        return "/proc is not mounted, or the kernel is older than 4.1";
    if (own->size() != 1 || own->front() != getpid())
        return "/proc shows another pid namespace than this one: mount a fresh one";
    return std::nullopt;
}

std::vector<int> numbers_in_use()
{
    std::vector<int> numbers;
    for (const int pid : numeric_entries("").value_or(std::vector<int>{})) {
        const std::string path = std::to_string(pid);
        for (const int tid : numeric_entries(path + "/task").value_or(std::vector<int>{pid}))
            numbers.push_back(tid);
        for (const char *key : {"NSpgid", "NSsid"}) {
            const auto line = read_status_line(path, key);
            if (line && !line->empty() && line->front() != 0)
                numbers.push_back(line->front());
        }
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    return numbers;
}

} // namespace pstree
