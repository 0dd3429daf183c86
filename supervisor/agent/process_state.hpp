// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <variant>

namespace clone2::agent
{

/// Who handed a listener over: what the policy matches, and what is kept across a restart. `uid`
/// and `pid_here` come from the kernel (SO_PEERCRED); the rest is the peer's claim.
struct Subject {
    uid_t uid = 0;         ///< the peer's
    pid_t pid_here = 0;    ///< the peer's, where the agent runs; 0: not known
    std::int64_t pid = 0;  ///< the container process's, as the peer sees it
    std::string container; ///< the state's "id"
    std::string metadata;
    std::map<std::string, std::string> annotations;
    /// The calls that clone2-shim's filter traps; nullopt: this is not clone2-shim.
    std::optional<CallTable> calls;

    /// For the log: the beginning of the container's id, or "clone2-shim 4711" with the pid here,
    /// which is its program's: two sandboxes of one user can have the same pid inside.
    [[nodiscard]] std::string id() const;
    /// For messages: "container \"web\" (uid 0, pid 4711 there)", printable.
    [[nodiscard]] std::string name() const;
};

/// The relevant part of the container process state of the OCI runtime specification
/// (config-linux.md, "The Container Process State").
struct ProcessState {
    Subject subject;
    std::size_t fd_count = 0;       ///< names in "fds"
    std::size_t listener_index = 0; ///< index of "seccompFd" in "fds"
};

struct ProtocolError {
    std::string why; ///< one clause, printable
};

/// Parses one message. Ignores version strings and unknown members. Pure.
[[nodiscard]] std::variant<ProcessState, ProtocolError> parse_process_state(std::string_view text);

/// Maximum size of a message in bytes.
constexpr std::size_t max_message = std::size_t{1} << 20;
/// Maximum number of descriptors in one message.
constexpr std::size_t max_fds = 16;

/// Maximum number of annotations in one message.
constexpr std::size_t max_annotations = 4096;

/// The approximate memory that a subject takes.
[[nodiscard]] std::size_t bytes_kept(const Subject &subject);

/// Encoding for the note that outlives a restart. Pure.
[[nodiscard]] std::string encode_subject(const Subject &subject);
[[nodiscard]] std::optional<Subject> decode_subject(std::string_view text);

} // namespace clone2::agent
