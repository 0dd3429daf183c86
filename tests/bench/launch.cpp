// SPDX-License-Identifier: MIT
#include "launch.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace bench
{
namespace
{

[[noreturn]] void fail(const std::string &what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

std::array<int, 2> make_pipe()
{
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) {
        fail("pipe2");
    }
    return ends;
}

void write_file(const char *path, const std::string &text)
{
    std::ofstream file(path);
    if (!(file << text << std::flush)) {
        throw std::runtime_error(std::string("cannot write ") + path);
    }
}

int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return status;
}

} // namespace

Helper::Helper(const std::vector<std::string> &argv) : name_(argv.at(0))
{
    const auto in = make_pipe();
    const auto out = make_pipe();
    std::vector<char *> words;
    words.reserve(argv.size() + 1);
    for (const std::string &word : argv) {
        words.push_back(const_cast<char *>(word.c_str()));
    }
    words.push_back(nullptr);
    pid_ = fork();
    if (pid_ < 0) {
        fail("fork");
    }
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(in[0], 0);
        dup2(out[1], 1);
        execv(words[0], words.data());
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
}

Helper::~Helper()
{
    finish();
    close(from_);
}

int Helper::finish()
{
    if (to_ < 0) {
        return 0;
    }
    close(to_);
    to_ = -1;
    return wait_for(pid_);
}

bool Helper::line(std::string &text)
{
    for (;;) {
        if (const auto end = buffer_.find('\n'); end != std::string::npos) {
            text = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return true;
        }
        std::array<char, 4096> chunk{};
        const ssize_t got = read(from_, chunk.data(), chunk.size());
        if (got > 0) {
            buffer_.append(chunk.data(), static_cast<std::size_t>(got));
        } else if (got == 0 || errno != EINTR) {
            return false;
        }
    }
}

std::string Helper::line()
{
    std::string text;
    if (!line(text)) {
        throw std::runtime_error(name_ + " ended early");
    }
    return text;
}

void Helper::send(const std::string &text) const
{
    if (write(to_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        fail("write to " + name_);
    }
}

std::string own_path()
{
    std::array<char, PATH_MAX> path{};
    const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
    if (length < 0) {
        fail("/proc/self/exe");
    }
    return {path.data(), static_cast<std::size_t>(length)};
}

std::string find_built(const std::string &given, const std::string &in_tree,
                       const std::string &option)
{
    std::string path = given;
    if (path.empty()) {
        const std::string self = own_path();
        path = self.substr(0, self.rfind('/')) + "/../../" + in_tree;
    }
    if (access(path.c_str(), X_OK) != 0) {
        fail(path + " (give " + option + " PATH)");
    }
    return path;
}

void enter_pid_namespace()
{
    if (unshare(CLONE_NEWPID) != 0) {
        const std::string user = std::to_string(geteuid()), group = std::to_string(getegid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
            fail("unshare: a new pid namespace");
        }
        write_file("/proc/self/setgroups", "deny");
        write_file("/proc/self/uid_map", "0 " + user + " 1");
        write_file("/proc/self/gid_map", "0 " + group + " 1");
    }
    const pid_t pid = fork();
    if (pid < 0) {
        fail("fork");
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return;
    }
    const int status = wait_for(pid);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

} // namespace bench
