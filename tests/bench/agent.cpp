// SPDX-License-Identifier: MIT
#include "agent.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace bench
{
namespace
{

std::string write_policy(const std::string &path)
{
    std::ofstream file(path);
    file << R"({"rules": [{"match": {"uid": )" << geteuid() << "}, \"pids\": [[1, 4194304]]}]}";
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path);
    }
    return path;
}

bool answers(const std::string &path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected =
        fd >= 0 && connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return connected;
}

} // namespace

Agent::Folder::Folder() : path_(std::filesystem::temp_directory_path() / "clone2-bench.XXXXXX")
{
    if (mkdtemp(path_.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
}

Agent::Folder::~Folder()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Agent::Agent(const std::string &supervisor)
    : helper_({supervisor, "--listen", socket(), "--policy",
               write_policy(folder_.path() + "/policy.json")})
{
    for (unsigned i = 0; !answers(socket()); i++) {
        if (i == 3000) {
            throw std::runtime_error("the agent does not answer");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

Agent::~Agent()
{
    kill(helper_.pid(), SIGTERM);
}

} // namespace bench
