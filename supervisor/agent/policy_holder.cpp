// SPDX-License-Identifier: MIT
#include "agent/policy_holder.hpp"

#include "agent/policy_file.hpp"
#include "base/fd.hpp"
#include "base/printable.hpp"
#include "base/thread.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>
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

struct PolicyHolder::State {
    State(std::string asked, bool known) : path(std::move(asked)), results_known(known) {}

    /// The policy, or why there is none.
    [[nodiscard]] std::variant<std::shared_ptr<const Policy>, std::string> read() const;
    void set(std::shared_ptr<const Policy> read);
    /// The work of the thread.
    void reload(Diagnostics &diagnostics);

    const std::string path;
    const bool results_known;
    std::mutex mutex;
    std::shared_ptr<const Policy> policy;

    std::mutex reading; ///< of the following; calls don't need it
    bool reads = false; ///< there is a thread
    bool again = false; ///< it has to read the file once more
    bool ended = false; ///< the holder is gone, and so may be the diagnostics
};

std::variant<std::shared_ptr<const Policy>, std::string> PolicyHolder::State::read() const
{
    const std::string shown = "--policy " + printable(path);
    const std::optional<std::string> text = read_file(path);
    if (!text) {
        return shown + ": " + std::strerror(errno);
    }
    auto parsed = parse_policy(*text);
    if (const auto *error = std::get_if<PolicyError>(&parsed)) {
        return shown + ":" + error->why;
    }
    auto &found = std::get<Policy>(parsed);
    if (found.counts_children() && !results_known) {
        return shown + ": max_children: the kernel's own clone2 makes the calls, and their "
                       "results are not known here (--provider=supervisor)";
    }
    return std::make_shared<const Policy>(std::move(found));
}

void PolicyHolder::State::set(std::shared_ptr<const Policy> read)
{
    const std::lock_guard lock(mutex);
    policy = std::move(read);
}

void PolicyHolder::State::reload(Diagnostics &diagnostics)
{
    do {
        auto found = read();
        const std::lock_guard lock(reading);
        if (ended) {
            return;
        }
        if (const auto *error = std::get_if<std::string>(&found)) {
            diagnostics.warn(*error + "; the policy stays as it was");
        } else {
            set(std::get<std::shared_ptr<const Policy>>(std::move(found)));
            diagnostics.info("the policy was reloaded");
        }
        reads = std::exchange(again, false);
    } while (reads);
}

PolicyHolder::PolicyHolder(std::string path, bool results_known)
    : state_(std::make_shared<State>(std::move(path), results_known))
{
    if (state_->path.empty()) {
        return;
    }
    auto found = state_->read();
    if (const auto *error = std::get_if<std::string>(&found)) {
        throw std::runtime_error(*error);
    }
    state_->set(std::get<std::shared_ptr<const Policy>>(std::move(found)));
}

PolicyHolder::~PolicyHolder()
{
    const std::lock_guard lock(state_->reading);
    state_->ended = true;
}

std::shared_ptr<const Policy> PolicyHolder::current() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->policy;
}

void PolicyHolder::reload(Diagnostics &diagnostics)
{
    if (state_->path.empty()) {
        diagnostics.info("SIGHUP: there is no policy to reload");
        return;
    }
    const std::lock_guard lock(state_->reading);
    if (state_->reads) {
        state_->again = true;
        diagnostics.warn("--policy " + printable(state_->path) +
                         ": still being read after an earlier SIGHUP; it is read again after that");
        return;
    }
    try {
        Thread([state = state_, &diagnostics] { state->reload(diagnostics); }).detach();
        state_->reads = true;
    } catch (const std::system_error &error) {
        diagnostics.warn("--policy " + printable(state_->path) + ": " + error.what() +
                         "; the policy stays as it was");
    }
}

} // namespace clone2::agent
