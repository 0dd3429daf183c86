// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_AGENT_HPP
#define CLONE2_BENCH_AGENT_HPP

#include "launch.hpp"

#include <string>

namespace bench
{

/// An agent with a policy that permits everything, for this user.
class Agent
{
public:
    explicit Agent(const std::string &supervisor);
    ~Agent(); ///< ends it
    Agent(const Agent &) = delete;
    Agent &operator=(const Agent &) = delete;

    std::string socket() const { return folder_.path() + "/socket"; }
    pid_t pid() const { return helper_.pid(); }

private:
    class Folder
    {
    public:
        Folder();
        ~Folder();
        Folder(const Folder &) = delete;
        Folder &operator=(const Folder &) = delete;
        const std::string &path() const { return path_; }

    private:
        std::string path_;
    };

    Folder folder_;
    Helper helper_;
};

} // namespace bench

#endif
