// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_LAUNCH_HPP
#define CLONE2_BENCH_LAUNCH_HPP

#include <string>
#include <sys/types.h>
#include <vector>

namespace bench
{

/// A child process that talks in lines: its stdin and stdout are connected to us, stderr is shared.
class Helper
{
public:
    explicit Helper(const std::vector<std::string> &argv);
    ~Helper(); ///< closes its stdin and waits for it
    Helper(const Helper &) = delete;
    Helper &operator=(const Helper &) = delete;

    /// Reads one line, without its newline; throws std::runtime_error at end of file.
    std::string line();
    /// The same, but returns false at end of file.
    bool line(std::string &text);
    void send(const std::string &text) const;
    pid_t pid() const { return pid_; }
    /// Closes its stdin and waits. Returns the wait status.
    int finish();

private:
    std::string name_, buffer_;
    pid_t pid_ = -1;
    int to_ = -1, from_ = -1;
};

std::string own_path();

/// The given program, or the one in the same build tree. If it can't be executed, throws, and the
/// message names the option.
std::string find_built(const std::string &given, const std::string &in_tree,
                       const std::string &option);

/// Continues as pid 1 of a new pid namespace, where every pid is free; the calling process waits
/// for it and ends with its status. Creates a user namespace as well if necessary.
void enter_pid_namespace();

} // namespace bench

#endif
