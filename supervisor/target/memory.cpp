// SPDX-License-Identifier: MIT
#include "target/memory.hpp"

#include "target/mappings.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

namespace clone2
{

namespace
{

void *remote_address(RemotePtr pointer)
{
    return reinterpret_cast<void *>(pointer.value());
}

} // namespace

Result<std::size_t> read_memory(pid_t tid, std::span<const RemoteRange> pieces)
{
    constexpr std::size_t limit = 1024; // IOV_MAX
    std::array<iovec, limit> local;
    std::array<iovec, limit> remote;
    if (pieces.size() > limit) {
        return Error{"process_vm_readv()", tid, EINVAL};
    }
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        local[i] = {pieces[i].to.data(), pieces[i].to.size()};
        remote[i] = {remote_address(pieces[i].from), pieces[i].to.size()};
    }
    const ssize_t n =
        ::process_vm_readv(tid, local.data(), pieces.size(), remote.data(), pieces.size(), 0);
    if (n < 0) {
        if (errno == EFAULT) {
            return std::size_t{0};
        }
        return last_error("process_vm_readv()", tid);
    }
    return static_cast<std::size_t>(n);
}

Result<void> read_exactly(pid_t tid, RemotePtr from, std::span<std::byte> to)
{
    const RemoteRange piece{from, to};
    const Result<std::size_t> n = read_memory(tid, {&piece, 1});
    if (!n) {
        return n.error();
    }
    if (*n != to.size()) {
        return Error{"process_vm_readv()", tid, EFAULT};
    }
    return {};
}

Result<void> write_file(const Fd &memory, pid_t tid, RemotePtr to, std::span<const std::byte> from)
{
    const ssize_t n =
        ::pwrite(memory.get(), from.data(), from.size(), static_cast<off_t>(to.value()));
    if (n < 0) {
        return last_error("write(/proc/mem)", tid);
    }
    if (static_cast<std::size_t>(n) != from.size()) {
        // 0: no process has that address space any more.
        return Error{"write(/proc/mem)", tid, n == 0 ? ESRCH : EFAULT};
    }
    return {};
}

Result<void> read_write_only(const Procfs &procfs, pid_t tid, RemotePtr from,
                             std::span<std::byte> to)
{
    const Error fault{"read(/proc/mem)", tid, EFAULT};
    if (from.value() + to.size() < from.value()) {
        return fault;
    }
    const RemotePtr end = from + to.size();
    for (RemotePtr at = from; at < end;) {
        const Result<Mapping> mapping = mapping_at(procfs, tid, at);
        if (!mapping && mapping.error().no_descriptor()) {
            return mapping.error();
        }
        if (!mapping || (!mapping->readable && !mapping->writable)) {
            return fault;
        }
        at = mapping->end;
    }
    // /proc/TID/mem would also read PROT_NONE pages, so check the mappings first.
    const Result<Fd> memory = procfs.open(tid, "mem", O_RDONLY);
    if (!memory) {
        return memory.error();
    }
    const ssize_t n =
        ::pread(memory->get(), to.data(), to.size(), static_cast<off_t>(from.value()));
    if (n < 0 || static_cast<std::size_t>(n) != to.size()) {
        return fault;
    }
    return {};
}

} // namespace clone2
