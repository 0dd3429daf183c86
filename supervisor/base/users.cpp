// SPDX-License-Identifier: MIT
#include "base/users.hpp"

#include <pwd.h>

#include <cerrno>
#include <vector>

namespace clone2
{

namespace
{

/// `find`: getpwnam_r() or getpwuid_r() for one user. `read`: what is wanted of its entry.
template <typename Find, typename Read>
auto look_up(Find find, Read read) -> std::optional<decltype(read(passwd{}))>
{
    constexpr std::size_t most = std::size_t{1} << 20U;
    passwd entry{};
    passwd *found = nullptr;
    std::vector<char> buffer(4096);
    while (find(&entry, buffer, &found) == ERANGE && buffer.size() < most) {
        buffer.resize(buffer.size() * 2);
    }
    return found != nullptr ? std::optional(read(*found)) : std::nullopt;
}

} // namespace

std::optional<uid_t> uid_of_user(const std::string &name)
{
    return look_up(
        [&](passwd *entry, std::vector<char> &buffer, passwd **found) {
            return ::getpwnam_r(name.c_str(), entry, buffer.data(), buffer.size(), found);
        },
        [](const passwd &user) { return user.pw_uid; });
}

std::optional<std::string> name_of_user(uid_t uid)
{
    return look_up(
        [&](passwd *entry, std::vector<char> &buffer, passwd **found) {
            return ::getpwuid_r(uid, entry, buffer.data(), buffer.size(), found);
        },
        [](const passwd &user) { return std::string(user.pw_name); });
}

} // namespace clone2
