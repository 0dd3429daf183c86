// SPDX-License-Identifier: MIT
#include "base/users.hpp"

#include <pwd.h>

#include <cerrno>
#include <vector>

namespace clone2
{

std::optional<uid_t> uid_of_user(const std::string &name)
{
    constexpr std::size_t most = std::size_t{1} << 20U;
    passwd entry{};
    passwd *found = nullptr;
    std::vector<char> buffer(4096);
    while (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE &&
           buffer.size() < most) {
        buffer.resize(buffer.size() * 2);
    }
    return found != nullptr ? std::optional(found->pw_uid) : std::nullopt;
}

} // namespace clone2
