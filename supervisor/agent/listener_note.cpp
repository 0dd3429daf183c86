// SPDX-License-Identifier: MIT
#include "agent/listener_note.hpp"

#include "listener/uninterrupted_ioctl.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <linux/seccomp.h>
#include <string>
#include <utility>

namespace clone2::agent
{

namespace
{

constexpr std::uint64_t magic = 0x31656e6f6c632d61; // another version of us has another number
constexpr std::size_t max_note = std::size_t{4} << 20;
/// Calls of one listener that can be under way at once and be noted.
constexpr std::size_t slots = 1024;
/// Received but not yet noted, when the agent was killed in between: one, for each is noted before
/// the next is received. Its id is not the next one where callers have died that waited.
constexpr std::uint64_t ids_after = 64;
/// The size must not change under our mapping.
constexpr unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

/// Received and not answered. Those that wait to be received are not: of them we hear.
bool waited_on(int listener, std::uint64_t id)
{
    return uninterrupted_ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool fail(int listener, std::uint64_t id)
{
    union {
        seccomp_notif_resp response;
        std::array<char, 256> room; // for what later kernels append
    } answer{};
    answer.response.id = id;
    answer.response.error = -ENOSYS;
    return uninterrupted_ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer.response) == 0;
}

} // namespace

struct ListenerNote::Table {
    std::uint64_t magic;
    std::atomic<std::uint64_t> newest; ///< the id noted last
    std::array<std::atomic<std::uint64_t>, slots> ids;
};

std::optional<ListenerNote> ListenerNote::create(const Subject &subject)
{
    const std::string text = encode_subject(subject);
    Fd memfd{::memfd_create("clone2-listener", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    if (!memfd || ::ftruncate(memfd.get(), static_cast<off_t>(sizeof(Table) + text.size())) != 0 ||
        ::pwrite(memfd.get(), &magic, sizeof magic, 0) != sizeof magic ||
        ::pwrite(memfd.get(), text.data(), text.size(), sizeof(Table)) !=
            static_cast<ssize_t>(text.size()) ||
        ::fcntl(memfd.get(), F_ADD_SEALS, seals) != 0) {
        return std::nullopt;
    }
    return open(std::move(memfd));
}

std::optional<ListenerNote> ListenerNote::open(Fd memfd)
{
    // Only a sealed one can be mapped without fear of a SIGBUS.
    const int sealed = ::fcntl(memfd.get(), F_GET_SEALS);
    if (sealed < 0 || (static_cast<unsigned>(sealed) & seals) != seals) {
        return std::nullopt;
    }
    const off_t size = ::lseek(memfd.get(), 0, SEEK_END);
    if (size <= static_cast<off_t>(sizeof(Table)) || size > static_cast<off_t>(max_note)) {
        return std::nullopt;
    }
    std::string text(static_cast<std::size_t>(size) - sizeof(Table), '\0');
    if (::pread(memfd.get(), text.data(), text.size(), sizeof(Table)) !=
        static_cast<ssize_t>(text.size())) {
        return std::nullopt;
    }
    std::optional<Subject> subject = decode_subject(text);
    void *const mapping =
        ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
    if (mapping == MAP_FAILED) {
        return std::nullopt;
    }
    auto *const table = static_cast<Table *>(mapping);
    if (!subject || table->magic != magic) {
        ::munmap(mapping, sizeof(Table));
        return std::nullopt;
    }
    return ListenerNote(std::move(memfd), table, std::move(*subject));
}

ListenerNote::ListenerNote(ListenerNote &&other) noexcept
    : memfd_(std::move(other.memfd_)), table_(std::exchange(other.table_, nullptr)),
      subject_(std::move(other.subject_))
{
}

ListenerNote::~ListenerNote()
{
    if (table_ != nullptr) {
        ::munmap(table_, sizeof(Table));
    }
}

void ListenerNote::received(int listener, std::uint64_t id)
{
    table_->newest = id;
    for (std::size_t i = 0; i < slots; ++i) {
        // What stood there is nearly always a call of long ago.
        std::atomic<std::uint64_t> &slot = table_->ids[(id + i) % slots];
        std::uint64_t old = slot;
        if ((old == 0 || !waited_on(listener, old)) && slot.compare_exchange_strong(old, id)) {
            return;
        }
    }
}

unsigned ListenerNote::fail_orphans(int listener) const
{
    unsigned failed = 0;
    const auto look_at = [&](std::uint64_t id) {
        if (waited_on(listener, id) && fail(listener, id)) {
            ++failed;
        }
    };
    for (const std::atomic<std::uint64_t> &id : table_->ids) {
        if (id != 0) {
            look_at(id);
        }
    }
    for (std::uint64_t i = 1; table_->newest != 0 && i <= ids_after; ++i) {
        look_at(table_->newest + i);
    }
    return failed;
}

} // namespace clone2::agent
