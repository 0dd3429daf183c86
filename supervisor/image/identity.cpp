// SPDX-License-Identifier: MIT
#include "image/identity.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

namespace clone2
{

namespace
{

/// FNV-1a, 64 bit. Only accidental collisions matter: see Signature.
class Hash
{
public:
    explicit Hash(std::uint64_t basis) : value_(basis) {}

    void add(std::span<const std::byte> bytes)
    {
        for (const std::byte byte : bytes) {
            value_ = (value_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3;
        }
    }
    [[nodiscard]] std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_;
};

} // namespace

Signature make_signature(std::span<const std::byte> code, std::span<const std::uint64_t> layout,
                         std::uint64_t pid_namespace_device, std::uint64_t pid_namespace_inode,
                         std::string_view boot_id)
{
    Signature signature{};
    for (std::uint64_t i = 0; i < signature.size(); ++i) {
        Hash hash(0xcbf29ce484222325 + i);
        hash.add(code);
        hash.add(std::as_bytes(layout));
        hash.add(std::as_bytes(std::span(&pid_namespace_device, 1)));
        hash.add(std::as_bytes(std::span(&pid_namespace_inode, 1)));
        hash.add(std::as_bytes(std::span(boot_id)));
        signature.at(i) = hash.value() | 1; // never 0, which means "not written yet"
    }
    return signature;
}

Signature make_signature(const Procfs &procfs, const Architecture &arch)
{
    const Result<Fd> pid_namespace = procfs.open(::getpid(), "ns/pid", O_RDONLY);
    struct stat status {
    };
    if (!pid_namespace || ::fstat(pid_namespace->get(), &status) != 0) {
        throw std::system_error(pid_namespace ? errno : pid_namespace.error().err,
                                std::generic_category(), "/proc/self/ns/pid");
    }
    // Hidden in some sandboxes; processes in those are not restored elsewhere.
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string boot_id;
    std::getline(file, boot_id);
    return make_signature(arch.make_code({}), arch.layout(), status.st_dev, status.st_ino, boot_id);
}

} // namespace clone2
