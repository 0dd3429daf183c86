// SPDX-License-Identifier: MIT
#include "agent/listener_note.hpp"

#include "listener/uninterrupted_ioctl.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <linux/seccomp.h>
#include <string>
#include <utility>

namespace clone2::agent
{

namespace
{

constexpr std::uint64_t magic = 0x32656e6f6c632d61; // changes with the format
constexpr std::size_t max_note = std::size_t{4} << 20;
/// How many calls of one listener can be noted at once.
constexpr std::size_t slots = 1024;
/// The size must not change while it is mapped.
constexpr unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

/// Received but not answered. This excludes calls that still wait to be received; those arrive
/// normally.
bool waited_on(int listener, std::uint64_t id)
{
    return uninterrupted_ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool fail(int listener, std::uint64_t id)
{
    union {
        seccomp_notif_resp response;
        std::array<char, 256> room; // room for fields of later kernels
    } answer{};
    answer.response.id = id;
    answer.response.error = -ENOSYS;
    return uninterrupted_ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer.response) == 0;
}

} // namespace

struct ListenerNote::Table {
    std::uint64_t magic;
    NotificationRoom room; ///< what was received last, until it is noted in ids
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
    // An unsealed memfd could be truncated while mapped, which raises SIGBUS.
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

NotificationRoom &ListenerNote::room() const
{
    return table_->room;
}

void ListenerNote::received(int listener, std::uint64_t id)
{
    note(listener, id);
    table_->room = {};
}

void ListenerNote::note(int listener, std::uint64_t id)
{
    for (std::size_t i = 0; i < slots; ++i) {
        // The slot's old id is nearly always of a call that ended long ago.
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
    seccomp_notif last;
    std::memcpy(&last, table_->room.bytes.data(), sizeof last);
    if (last.id != 0) {
        look_at(last.id);
    }
    table_->room = {};
    return failed;
}

} // namespace clone2::agent
