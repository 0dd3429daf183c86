// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace clone2::x86
{

/// Where the parts of the code are in the supervisor's own memory (trampoline.S).
struct CodeLabels {
    const std::byte *begin;
    const std::byte *end;
    const std::byte *call;
    const std::byte *boot;
    const std::byte *report_mark;
    const std::byte *boot_report_mark;
};

/// The bytes of a `syscall` or `int $0x80` instruction; both have two.
using CallInstruction = std::array<std::uint8_t, 2>;

/// What x86-64 and i386 have in common.
class X86 : public Architecture
{
public:
    [[nodiscard]] std::uint64_t page_size() const final { return 4096; }
    [[nodiscard]] std::vector<std::byte> make_code(const Signature &signature) const final;
    [[nodiscard]] std::size_t code_size() const final { return offset_of(labels_.end); }
    [[nodiscard]] std::uint64_t call_entry() const final { return offset_of(labels_.call); }
    [[nodiscard]] std::uint64_t boot_entry() const final { return offset_of(labels_.boot); }
    [[nodiscard]] std::uint64_t mark_offset() const final { return 2; } // a short jump
    [[nodiscard]] RemotePtr code_of_boot_report(std::uint64_t instruction_pointer) const final;
    [[nodiscard]] Result<void> reissue(const Tracee &tracee, const Notification &notification,
                                       int nr, bool answered) const final;
    [[nodiscard]] Result<void> end_call(const Tracee &tracee, const Notification &notification,
                                        bool answered, std::int64_t result) const final;

protected:
    constexpr X86(const CodeLabels &labels, const CallInstruction &instruction)
        : labels_(labels), instruction_(instruction)
    {
    }
    ~X86() = default;

    /// enter() for code that finds its slot's address in rax and runs in code segment `cs`.
    [[nodiscard]] static Result<void> enter_by_rax(const Tracee &tracee,
                                                   const Notification &notification, bool answered,
                                                   RemotePtr entry, RemotePtr slot,
                                                   unsigned long long cs);

private:
    [[nodiscard]] std::uint64_t offset_of(const std::byte *label) const
    {
        return static_cast<std::uint64_t>(label - labels_.begin);
    }

    CodeLabels labels_;
    CallInstruction instruction_;
};

} // namespace clone2::x86
