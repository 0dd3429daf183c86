// SPDX-License-Identifier: MIT
#include "execute.hpp"
#include "proc_files.hpp"

#include <cerrno>
#include <ctime>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>

namespace pstree
{

namespace
{

constexpr int look_again = 200; // milliseconds between checks on a process that doesn't answer

Slot *map_slots(std::size_t count)
{
    void *memory = mmap(nullptr, count * sizeof(Slot), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::system_error(errno, std::generic_category(), "mmap");
    }
    return static_cast<Slot *>(memory); // zeroed: unborn
}

bool dead(const Process &node)
{
    try {
        const char state = read_stat(std::to_string(node.id())).state;
        return state == 'Z' || state == 'X';
    } catch (const Gone &) {
        return true;
    }
}

} // namespace

Restoration::Restoration(const Plan &plan, long number)
    : plan_(plan), slots_(map_slots(plan.nodes.size())), self_(plan, slots_, number)
{
    // All orphans come here: those adopted on purpose, and everything at the end.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0) {
        throw std::system_error(errno, std::generic_category(), "prctl(PR_SET_CHILD_SUBREAPER)");
    }
    // An inherited SIG_IGN would make the kernel reap the children.
    (void)std::signal(SIGCHLD, SIG_DFL);
}

Restoration::~Restoration()
{
    // Nothing in there reaps, so a number can't be reused before its process has been killed. The
    // exception is a namespace's pid 1, whose end ends all processes in it: they are younger.
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
        if (step->kind == Step::Kind::birth && slots_[step->node].turn.load() != Slot::unborn) {
            kill(plan_.nodes[step->node].id(), SIGKILL);
        }
    }
    while (waitpid(-1, nullptr, __WALL) > 0 || errno == EINTR) {
    }
}

void Restoration::run(const sigset_t &ending)
{
    const timespec now = {};
    for (std::size_t i = 0; i < plan_.steps.size(); i++) {
        if (sigtimedwait(&ending, nullptr, &now) > 0) {
            throw Failure("interrupted by a signal");
        }
        carry_out(i);
    }
}

void Restoration::carry_out(std::size_t index)
{
    const Step &step = plan_.steps[index];
    if (step.kind == Step::Kind::finish) {
        command(step.node, index);
    }
    if (step.actor != restorer) {
        command(step.actor, index);
        wait_for(step.actor);
        if (const Slot &slot = slots_[step.actor]; slot.error[0] != '\0') {
            throw Failure(who(plan_.nodes[step.actor]) + ": " + slot.error);
        }
    } else if (self_.perform(step)) {
        self_.live(step.node);
    }
    if (step.kind == Step::Kind::birth) {
        wait_for(step.node);
    } else if (step.kind == Step::Kind::finish) {
        slots_[step.node].turn.store(Slot::unborn);
    }
}

void Restoration::command(std::size_t node, std::size_t step)
{
    slots_[node].step = step;
    slots_[node].set_turn(Slot::commanded);
}

/// Waits until the process is ready for a command.
void Restoration::wait_for(std::size_t node)
{
    Slot &slot = slots_[node];
    for (std::uint32_t turn = 0; (turn = slot.turn.load()) != Slot::waiting;) {
        if (!slot.wait_while(turn, look_again) && dead(plan_.nodes[node]) &&
            slot.turn.load() != Slot::waiting) {
            throw Failure(who(plan_.nodes[node]) + " died unexpectedly");
        }
    }
}

} // namespace pstree
