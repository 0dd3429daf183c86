// SPDX-License-Identifier: MIT
#include "target/mappings.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>

namespace clone2
{

namespace
{

/// struct procmap_query, newer than Debian 12's headers (linux/fs.h, 6.11).
struct ProcmapQuery {
    std::uint64_t size;
    std::uint64_t query_flags;
    std::uint64_t query_addr;
    std::uint64_t vma_start;
    std::uint64_t vma_end;
    std::uint64_t vma_flags;
    std::uint64_t vma_page_size;
    std::uint64_t vma_offset;
    std::uint64_t inode;
    std::uint32_t dev_major;
    std::uint32_t dev_minor;
    std::uint32_t vma_name_size;
    std::uint32_t build_id_size;
    std::uint64_t vma_name_addr;
    std::uint64_t build_id_addr;
};
constexpr unsigned long procmap_query = _IOWR('f', 17, ProcmapQuery);
constexpr std::uint64_t vma_readable = 1;
constexpr std::uint64_t vma_writable = 2;
constexpr std::uint64_t vma_executable = 4;
constexpr std::uint64_t vma_shared = 8;

enum class Answer { found, none, not_known };

/// not_known: the kernel lacks the request.
Answer query(int maps, RemotePtr address, Mapping &mapping)
{
    ProcmapQuery raw{};
    raw.size = sizeof raw;
    raw.query_addr = address.value();
    if (::ioctl(maps, procmap_query, &raw) != 0) {
        return errno == ENOENT || errno == ESRCH ? Answer::none : Answer::not_known;
    }
    const auto has = [&](std::uint64_t flag) { return (raw.vma_flags & flag) != 0; };
    mapping = {RemotePtr{raw.vma_start}, RemotePtr{raw.vma_end}, has(vma_readable),
               has(vma_writable),        has(vma_executable),    has(vma_shared)};
    return Answer::found;
}

struct CloseFile {
    void operator()(std::FILE *file) const { (void)std::fclose(file); }
};

} // namespace

Result<Mapping> mapping_at(const Procfs &procfs, pid_t tid, RemotePtr address)
{
    const Error none{"read(/proc/maps)", tid, EFAULT};
    Result<Fd> maps = procfs.open(tid, "maps", O_RDONLY);
    if (!maps) {
        return maps.error();
    }
    Mapping mapping;
    switch (query(maps->get(), address, mapping)) {
    case Answer::found:
        return mapping;
    case Answer::none:
        return none;
    case Answer::not_known:
        break;
    }
    const std::optional<Mapping> found = search_mappings(std::move(*maps), address);
    return found ? Result<Mapping>(*found) : none;
}

std::optional<Mapping> query_mapping(const Fd &maps, RemotePtr address)
{
    Mapping mapping;
    return query(maps.get(), address, mapping) == Answer::found ? std::optional(mapping)
                                                                : std::nullopt;
}

std::optional<Mapping> search_mappings(Fd maps, RemotePtr address)
{
    const std::unique_ptr<std::FILE, CloseFile> file(::fdopen(maps.get(), "r"));
    if (!file) {
        return std::nullopt;
    }
    (void)maps.release();
    // Line by line: a target with very many mappings costs time but no memory.
    for (;;) {
        unsigned long long begin = 0;
        unsigned long long end = 0;
        std::array<char, 5> permissions{};
        if (std::fscanf(file.get(), "%llx-%llx %4s", &begin, &end, permissions.data()) != 3 ||
            address.value() < begin) {
            return std::nullopt;
        }
        if (address.value() < end) {
            return Mapping{RemotePtr{begin},      RemotePtr{end},        permissions[0] == 'r',
                           permissions[1] == 'w', permissions[2] == 'x', permissions[3] == 's'};
        }
        for (int c = 0; c != '\n';) {
            c = std::fgetc(file.get());
            if (c == EOF) {
                return std::nullopt;
            }
        }
    }
}

bool mapping_query_is_cheap()
{
    static const bool cheap = [] {
        const Fd maps{::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
        Mapping mapping;
        return maps && query(maps.get(), RemotePtr{0}, mapping) != Answer::not_known;
    }();
    return cheap;
}

} // namespace clone2
