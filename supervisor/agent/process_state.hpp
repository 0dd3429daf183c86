// SPDX-License-Identifier: MIT
#pragma once

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

/// Who handed a listener over: what the policy looks at and what is kept for the time after a
/// restart. All but `uid` is the peer's own word.
struct Subject {
    uid_t uid = 0;         ///< of the peer, from the kernel (SO_PEERCRED)
    std::int64_t pid = 0;  ///< of the container's process, as the peer sees it
    std::string container; ///< the state's "id"
    std::string metadata;
    std::map<std::string, std::string> annotations;
    std::optional<int> nr; ///< the number that clone2-shim's filter asks for

    /// "container \"web\" (uid 0)", printable.
    [[nodiscard]] std::string name() const;
};

/// The container process state of the OCI runtime specification (config-linux.md, "The Container
/// Process State"), as far as it matters here.
struct ProcessState {
    Subject subject;
    std::size_t fd_count = 0;       ///< names in "fds"
    std::size_t listener_index = 0; ///< of "seccompFd" among them
    bool from_shim = false;         ///< clone2-shim, which waits for an answer
};

struct ProtocolError {
    std::string why; ///< one clause, printable
};

/// Decodes one message. Version strings and unknown members are ignored. Pure.
[[nodiscard]] std::variant<ProcessState, ProtocolError> parse_process_state(std::string_view text);

/// A message may have this many bytes.
constexpr std::size_t max_message = std::size_t{1} << 20;
/// Descriptors in one message.
constexpr std::size_t max_fds = 16;

/// Annotations in one message.
constexpr std::size_t max_annotations = 4096;

/// About what a subject takes of the agent's memory.
[[nodiscard]] std::size_t bytes_kept(const Subject &subject);

/// For the time after a restart. Pure.
[[nodiscard]] std::string encode_subject(const Subject &subject);
[[nodiscard]] std::optional<Subject> decode_subject(std::string_view text);

} // namespace clone2::agent
