// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_PROVIDER_HPP
#define CLONE2_BENCH_PROVIDER_HPP

#include <cstdint>
#include <sys/types.h>

namespace bench
{

/// What creates the process: the kernel's clone3 with set_tid, any provider that answers clone2,
/// the library preloaded in front of libc's syscall(), or clone3 under another number, which
/// least-supervisor redirects.
enum class Provider { native, supervised, preloaded, least };

/// Whether something answers clone2 under this number.
bool clone2_answers(long number);

/// Creates a process with this pid that exits at once, and waits for it. Returns 0 or the errno.
int process_round_trip(Provider provider, long number, pid_t pid);

/// Creates a supervised process that sleeps until it is killed. Returns its pid or -errno.
long sleeping_process(long number);

/// A stack and a word for threads that are created and joined one after the other.
class ThreadRoom
{
public:
    ThreadRoom();
    ~ThreadRoom();
    ThreadRoom(const ThreadRoom &) = delete;
    ThreadRoom &operator=(const ThreadRoom &) = delete;

    /// Creates a thread with this tid that exits at once, and joins it. Returns 0 or the errno.
    int round_trip(Provider provider, long number, pid_t tid);

private:
    void *memory_;
    std::uint32_t *tid_word_; ///< below 4 GiB: clone2's child_tid has 32 bits
};

} // namespace bench

#endif
