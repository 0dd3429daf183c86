// SPDX-License-Identifier: MIT
#include "agent/policy_holder.hpp"

#include "agent/policy_file.hpp"
#include "base/fd.hpp"
#include "base/printable.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

namespace clone2::agent
{

namespace
{

/// Far more than any policy; /dev/zero would take all memory.
constexpr std::size_t most_text = std::size_t{16} << 20U;

/// nullopt: see errno.
std::optional<std::string> read_file(const std::string &path)
{
    const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (!file) {
        return std::nullopt;
    }
    std::string text;
    std::array<char, 16384> part{};
    for (;;) {
        const ssize_t n = ::read(file.get(), part.data(), part.size());
        if (n == 0) {
            return text;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return std::nullopt;
        }
        text.append(part.data(), static_cast<std::size_t>(n));
        if (text.size() > most_text) {
            errno = EFBIG;
            return std::nullopt;
        }
    }
}

} // namespace

PolicyHolder::PolicyHolder(std::string path, bool results_known)
    : path_(std::move(path)), results_known_(results_known)
{
    if (const std::string error = load(); !error.empty()) {
        throw std::runtime_error(error);
    }
}

std::shared_ptr<const Policy> PolicyHolder::current() const
{
    const std::lock_guard lock(mutex_);
    return policy_;
}

/// Empty: done. Else why not.
std::string PolicyHolder::load()
{
    if (path_.empty()) {
        return {};
    }
    const std::string shown = "--policy " + printable(path_);
    const std::optional<std::string> text = read_file(path_);
    if (!text) {
        return shown + ": " + std::strerror(errno);
    }
    auto parsed = parse_policy(*text);
    if (const auto *error = std::get_if<PolicyError>(&parsed)) {
        return shown + ":" + error->why;
    }
    auto &policy = std::get<Policy>(parsed);
    if (policy.counts_children() && !results_known_) {
        return shown + ": max_children: the kernel's own clone2 makes the calls, and their "
                       "results are not known here (--provider=supervisor)";
    }
    auto made = std::make_shared<const Policy>(std::move(policy));
    const std::lock_guard lock(mutex_);
    policy_ = std::move(made);
    return {};
}

void PolicyHolder::reload(Diagnostics &diagnostics)
{
    if (const std::string error = load(); !error.empty()) {
        diagnostics.warn(error + "; the policy stays as it was");
        return;
    }
    diagnostics.info(path_.empty() ? "SIGHUP: there is no policy to reload"
                                   : "the policy was reloaded");
}

} // namespace clone2::agent
