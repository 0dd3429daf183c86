// SPDX-License-Identifier: MIT
// Runs in the restored processes, too: copies of the restorer, with a single thread until their
// last step, which go on from where they were born.

#include "actor.hpp"
#include "clone2_call.hpp"

#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>

namespace pstree
{

namespace
{

constexpr std::size_t thread_stack = 16384;
constexpr int abandoned_after = 60000; // milliseconds without a command: the restorer was killed

struct ThreadStart {
    const char *name;
    std::atomic<std::uint32_t> named;
};

/// Shares the leader's thread-local storage: system calls by hand only.
[[noreturn]] void run_thread(void *argument)
{
    auto *start = static_cast<ThreadStart *>(argument);
    bare_syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>(start->name));
    start->named.store(1);
    bare_syscall(SYS_futex, reinterpret_cast<long>(&start->named), FUTEX_WAKE, INT_MAX);
    for (;;)
        bare_syscall(SYS_pause);
}

class File
{
public:
    explicit File(const std::string &path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File()
    {
        if (fd_ >= 0)
            close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

bool enter_pid_namespace(const std::string &pid)
{
    const File file("/proc/" + pid + "/ns/pid");
    return file.get() >= 0 && setns(file.get(), CLONE_NEWPID) == 0;
}

Outcome outcome(bool good, Stage stage)
{
    return good ? Outcome{} : Outcome{stage, errno};
}

} // namespace

Slots::Slots(std::size_t count) : size_((count + 1) * sizeof(Slot))
{
    void *memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::system_error(errno, std::generic_category(), "mmap");
    slots_ = static_cast<Slot *>(memory); // zeroed: unborn
}

Slots::~Slots()
{
    munmap(slots_, size_);
}

bool futex_wait(std::atomic<std::uint32_t> &word, std::uint32_t value, int milliseconds)
{
    const timespec limit = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    return syscall(SYS_futex, &word, FUTEX_WAIT, value, &limit, nullptr, 0) == 0 ||
           errno != ETIMEDOUT;
}

void futex_wake(std::atomic<std::uint32_t> &word)
{
    syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::size_t Actor::level() const
{
    return self_ == restorer ? 0 : plan_.nodes[static_cast<std::size_t>(self_)].pids.size() - 1;
}

Outcome Actor::perform(const Step &step)
{
    switch (step.kind) {
    case Step::Kind::birth:
        return give_birth(step);
    case Step::Kind::setsid:
        return outcome(setsid() >= 0, Stage::setsid);
    case Step::Kind::setpgid:
        return outcome(setpgid(step.pid, step.pgid) == 0, Stage::setpgid);
    case Step::Kind::subreaper:
        return outcome(prctl(PR_SET_CHILD_SUBREAPER, step.on ? 1L : 0L) == 0, Stage::subreaper);
    case Step::Kind::finish: {
        const pid_t pid = plan_.nodes[static_cast<std::size_t>(step.node)].pids[level()];
        return outcome(waitpid(pid, nullptr, __WALL) == pid, Stage::reap);
    }
    case Step::Kind::threads:
        return start_threads(plan_.nodes[static_cast<std::size_t>(step.node)]);
    }
    return {};
}

Outcome Actor::give_birth(const Step &step)
{
    const Node &node = plan_.nodes[static_cast<std::size_t>(step.node)];
    Pids pids = node.pids;
    clone_struct args = {};
    args.flags = SIGCHLD;
    args.nr_pids = static_cast<std::uint32_t>(pids.size());
    if (step.sibling)
        args.flags |= CLONE_PARENT;
    if (step.new_ns) {
        args.flags |= CLONE_NEWPID;
        args.nr_pids--; // the new namespace's own pid is 1 and not in the list
    }
    if (step.enter_ns >= 0) {
        const int init = plan_.ns_inits[static_cast<std::size_t>(step.enter_ns)];
        const int pid = plan_.nodes[static_cast<std::size_t>(init)].pids[0];
        if (!enter_pid_namespace(std::to_string(pid)))
            return {Stage::enter_ns, errno};
    }
    const long pid = clone2(number_, &args, pids.data());
    if (pid == 0)
        return {Stage::newborn, 0};
    const int error = errno;
    if (step.enter_ns >= 0 && !enter_pid_namespace("self"))
        return {Stage::enter_ns, errno};
    if (pid < 0)
        return {Stage::clone2, error};
    if (pid != pids[level()]) {
        kill(static_cast<pid_t>(pid), SIGKILL);
        return {Stage::wrong_pid, 0, static_cast<int>(pid)};
    }
    return {};
}

Outcome Actor::start_threads(const Node &node) const
{
    const std::size_t count = node.threads.size();
    void *memory = mmap(nullptr, count * thread_stack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return {Stage::stacks, errno};
    for (std::size_t i = 0; i < count; i++) {
        ThreadStart start = {node.threads[i].name.c_str(), 0};
        Pids tids = node.threads[i].tids;
        clone_struct args = {};
        args.flags =
            CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
        args.nr_pids = static_cast<std::uint32_t>(tids.size());
        void *top = static_cast<char *>(memory) + (i + 1) * thread_stack;
        const long tid = clone2_thread(number_, &args, tids.data(), top, run_thread, &start);
        if (tid < 0)
            return {Stage::thread, static_cast<int>(-tid), static_cast<int>(i)};
        while (start.named.load() == 0)
            futex_wait(start.named, 0, 1000);
        if (tid != tids.back())
            return {Stage::wrong_pid, 0, static_cast<int>(tid)};
    }
    return {};
}

void Actor::introduce(int node)
{
    self_ = node;
    prctl(PR_SET_NAME, plan_.nodes[static_cast<std::size_t>(node)].name.c_str());
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

void Actor::live(int node)
{
    introduce(node);
    bool settled = false;
    for (;;) {
        Slot &slot = slots_[self_];
        slot.turn.store(Slot::waiting);
        futex_wake(slot.turn);
        while (slot.turn.load() == Slot::waiting)
            if (!futex_wait(slot.turn, Slot::waiting, abandoned_after) && !settled &&
                slot.turn.load() == Slot::waiting)
                _exit(1);
        if (slot.step == exit_now)
            _exit(0);
        Outcome result;
        if (slot.step == settle_down) {
            result = outcome(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, Stage::settle);
            settled = true;
        } else {
            const Step &step = plan_.steps[static_cast<std::size_t>(slot.step)];
            result = perform(step);
            if (result.stage == Stage::newborn) { // not a nested call: generations can be many
                introduce(step.node);
                continue;
            }
        }
        slot.stage = result.stage;
        slot.error = result.error;
        slot.detail = result.detail;
    }
}

} // namespace pstree
