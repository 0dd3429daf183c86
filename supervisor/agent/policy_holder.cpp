// SPDX-License-Identifier: MIT
#include "agent/policy_holder.hpp"

#include "agent/policy_file.hpp"
#include "base/printable.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <variant>

namespace clone2::agent
{

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
    std::ifstream file(path_);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file.is_open() || file.bad()) {
        return shown + ": " + std::strerror(errno);
    }
    auto parsed = parse_policy(text);
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
