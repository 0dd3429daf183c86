// SPDX-License-Identifier: MIT
#include "callers.hpp"

#include "first_call.hpp"
#include "provider.hpp"
#include "server.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace bench
{
namespace
{

constexpr unsigned max_callers = 8;
constexpr std::size_t max_samples = 40'000; // per caller and provider
constexpr pid_t first_pid = 1000, pids_per_caller = 3000;

using Clock = std::chrono::steady_clock;

/// Shared by the callers, whether processes or threads.
struct Board {
    pthread_barrier_t barrier;
    std::atomic<bool> stop;
    std::atomic<int> error; ///< errno of a failed call
    struct Lane {
        std::array<std::size_t, 2> count;
        std::array<std::array<float, max_samples>, 2> us;
        std::size_t served; ///< clone2 calls, also those that only warm up
    };
    std::array<Lane, max_callers> lanes;
};

class SharedBoard
{
public:
    explicit SharedBoard(unsigned callers)
    {
        // Unused samples cost nothing: pages are allocated when written.
        void *memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::system_error(errno, std::generic_category(), "mmap");
        }
        board_ = static_cast<Board *>(memory);
        pthread_barrierattr_t attributes;
        pthread_barrierattr_init(&attributes);
        pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_barrier_init(&board_->barrier, &attributes, callers);
        pthread_barrierattr_destroy(&attributes);
    }
    ~SharedBoard() { munmap(board_, sizeof(Board)); }
    SharedBoard(const SharedBoard &) = delete;
    SharedBoard &operator=(const SharedBoard &) = delete;
    Board &operator*() const { return *board_; }

private:
    Board *board_;
};

void touch(std::size_t mib)
{
    if (mib == 0) {
        return;
    }
    const std::size_t size = mib << 20U;
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::system_error(errno, std::generic_category(), "mmap");
    }
    // Small pages, as in a heap: the number of page tables that fork copies must not vary.
    madvise(memory, size, MADV_NOHUGEPAGE);
    std::memset(memory, 1, size);
}

/// Makes one round trip. Returns 0 or the errno, and how long it took.
int round_trip(const Workload &w, Provider who, pid_t pid, ThreadRoom &room,
               std::chrono::duration<float, std::micro> &took)
{
    if (w.kind == Kind::first) {
        return first_call(who, w.number, pid, took);
    }
    const auto before = Clock::now();
    const int error = w.kind == Kind::process ? process_round_trip(who, w.number, pid)
                                              : room.round_trip(who, w.number, pid);
    took = Clock::now() - before;
    return error;
}

/// Runs one caller. None leaves before all have seen `stop`, so that none waits forever.
void run_caller(const Workload &w, Board &board, unsigned self)
{
    Board::Lane &lane = board.lanes[self];
    ThreadRoom room;
    // Short, so that both providers meet the same conditions of scheduler and machine; long enough
    // for several callers to overlap.
    const unsigned calls_per_phase = w.callers == 1 ? 2 : w.resident_mib != 0 ? 4 : 20;
    const auto end = Clock::now() + std::chrono::duration<double>(w.seconds);
    pid_t turn = 0;
    for (unsigned phase = 0;; phase++) {
        pthread_barrier_wait(&board.barrier);
        if (board.stop.load()) {
            return;
        }
        // native supervised supervised native ...: neither provider always comes second
        const auto provider = static_cast<std::size_t>((phase ^ (phase >> 1U)) & 1U);
        const Provider who = provider == 0 ? Provider::native : w.provider;
        for (unsigned i = 0; i < calls_per_phase && board.error.load() == 0; i++) {
            const pid_t pid =
                first_pid + static_cast<pid_t>(self) * pids_per_caller + turn++ % pids_per_caller;
            std::chrono::duration<float, std::micro> took{};
            const int error = round_trip(w, who, pid, room, took);
            lane.served += provider;
            if (error == EEXIST || error == EBUSY) {
                continue; // the tid of a joined thread is not free yet
            }
            if (error != 0) {
                board.error = error;
            }
            // The first phases warm up: trampoline, page tables, caches.
            else if (phase >= 4 && lane.count[provider] < max_samples) {
                lane.us[provider][lane.count[provider]++] = took.count();
            }
        }
        if (self == 0 && phase % 4 == 3 &&
            (board.error.load() != 0 || (phase >= 11 && Clock::now() >= end))) {
            board.stop = true;
        }
    }
}

void run_threads(const Workload &w, Board &board)
{
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < w.callers; i++) {
        threads.emplace_back(run_caller, std::cref(w), std::ref(board), i);
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
}

[[noreturn]] void caller_process(const Workload &w, Board &board, unsigned self)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        touch(w.resident_mib);
        run_caller(w, board, self);
        _exit(0);
    } catch (const std::exception &error) {
        (void)std::fprintf(stderr, "clone2-bench: %s\n", error.what());
        _exit(1);
    }
}

void run_processes(const Workload &w, Board &board)
{
    std::vector<pid_t> children;
    bool failed = false;
    for (unsigned i = 0; i < w.callers; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            caller_process(w, board, i);
        }
        failed = failed || pid < 0;
        if (pid > 0) {
            children.push_back(pid);
        }
    }
    std::size_t left = children.size();
    while (left > 0) {
        if (failed) { // the others wait at the barrier for one that will not come
            for (const pid_t pid : children) {
                kill(pid, SIGKILL);
            }
        }
        int status = 0;
        const pid_t ended = waitpid(-1, &status, 0);
        const auto place = std::find(children.begin(), children.end(), ended);
        if (place == children.end()) {
            continue;
        }
        children.erase(place);
        left--;
        failed = failed || status != 0;
    }
    if (failed) {
        throw std::runtime_error("a caller did not end well");
    }
}

std::string name_of(const Workload &w)
{
    if (w.kind == Kind::thread) {
        return "thread (create, join)" + w.label;
    }
    if (w.kind == Kind::first) {
        return "first call of a program" + w.label;
    }
    return (w.resident_mib == 0 ? "small process"
                                : std::to_string(w.resident_mib) + " MB process") +
           w.label;
}

} // namespace

std::string row_name(const Workload &w)
{
    return name_of(w) + '/' + std::to_string(w.callers);
}

Series measure(const Workload &w, pid_t server)
{
    if (w.callers == 0 || w.callers > max_callers) {
        throw std::runtime_error("number of callers");
    }
    const SharedBoard shared(w.callers);
    Board &board = *shared;
    const double cpu_before = server != 0 ? cpu_us(server) : 0;
    if (w.kind == Kind::thread) {
        run_threads(w, board);
    } else {
        run_processes(w, board);
    }
    if (const int error = board.error.load(); error != 0) {
        throw std::system_error(error, std::generic_category(), name_of(w) + ": a call failed");
    }
    const double cpu = server != 0 ? cpu_us(server) - cpu_before : 0;
    std::array<std::vector<double>, 2> all;
    std::size_t served = 0;
    for (unsigned caller = 0; caller < w.callers; caller++) {
        served += board.lanes[caller].served;
        for (std::size_t p = 0; p < all.size(); p++) {
            const Board::Lane &lane = board.lanes[caller];
            all[p].insert(all[p].end(), lane.us[p].begin(),
                          lane.us[p].begin() + static_cast<std::ptrdiff_t>(lane.count[p]));
        }
    }
    Series s;
    s.name = name_of(w);
    s.callers = w.callers;
    s.rounds = std::min(all[0].size(), all[1].size());
    s.native_median = percentile(all[0], 0.5);
    s.supervised_median = percentile(all[1], 0.5);
    s.native_p99 = percentile(all[0], 0.99);
    s.supervised_p99 = percentile(all[1], 0.99);
    s.server_cpu = served != 0 ? cpu / static_cast<double>(served) : 0;
    return s;
}

} // namespace bench
