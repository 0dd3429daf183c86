// SPDX-License-Identifier: MIT
#include "target/namespaces.hpp"

#include "base/capabilities.h"
#include "base/nesting_level.h"
#include "base/thread_pidfd.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <linux/nsfs.h>
#include <optional>

namespace clone2
{

namespace
{

constexpr std::uint64_t initial_userns_inode = 0xEFFFFFFD; // linux/proc_ns.h, since 3.8

std::uint64_t inode_of(int fd)
{
    struct stat status {
    };
    return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/// nullptr: there is none, or it can't be seen from here.
Result<std::shared_ptr<Fd>> related_namespace(const Procfs &procfs, const std::shared_ptr<Fd> &ns,
                                              unsigned long request)
{
    Fd related = procfs.spare_fds().open([&] { return ::ioctl(ns->get(), request); });
    if (!related && is_lack_of_descriptors(errno)) {
        return last_error("ioctl(namespace)");
    }
    return related ? std::make_shared<Fd>(std::move(related)) : nullptr;
}

/// The credentials that matter, as seen from this user namespace.
struct Credentials {
    bool capable = false; ///< in its own user namespace
    uid_t euid = 0;
    std::uint64_t userns = 0; ///< inode
};

/// Whether the target may choose pids in a namespace owned by `owner`, as the kernel's
/// cap_capable() decides. `owner` null: it can't be seen from here, so it is an ancestor of our own
/// user namespace.
Result<bool> capable_over(const Procfs &procfs, const Credentials &target,
                          std::shared_ptr<Fd> owner)
{
    while (owner) {
        if (inode_of(owner->get()) == target.userns) {
            return target.capable;
        }
        Result<std::shared_ptr<Fd>> parent = related_namespace(procfs, owner, NS_GET_PARENT);
        if (!parent) {
            return parent.error();
        }
        uid_t creator = 0;
        if (*parent && inode_of((*parent)->get()) == target.userns &&
            ::ioctl(owner->get(), NS_GET_OWNER_UID, &creator) == 0 && creator == target.euid) {
            return true;
        }
        owner = std::move(*parent);
    }
    return false;
}

} // namespace

std::optional<uid_t> euid_in_status(const std::string &status)
{
    const std::optional<std::string> uids = status_value(status, "Uid");
    if (!uids) {
        return std::nullopt;
    }
    // "real effective saved fs"
    const std::size_t at = uids->find_first_of(" \t");
    uid_t euid = 0;
    if (at == std::string::npos ||
        std::from_chars(uids->data() + at + 1, uids->data() + uids->size(), euid).ec !=
            std::errc()) {
        return std::nullopt;
    }
    return euid;
}

Facts TargetNamespaces::facts(std::uint32_t nr_pids) const
{
    Facts facts;
    facts.level = level;
    facts.privileged = nr_pids <= chain.size() || privileged_beyond;
    for (std::size_t i = 0; i < chain.size() && i < nr_pids; ++i) {
        facts.privileged = facts.privileged && chain[i].privileged;
    }
    return facts;
}

NamespaceInspector::NamespaceInspector(std::shared_ptr<const Procfs> procfs)
    : procfs_(std::move(procfs)), own_level_(0), own_pidns_(0), in_initial_userns_(false)
{
    const int level = nesting_level();
    own_level_ = level < 0 ? 0 : static_cast<unsigned>(level);
    const pid_t self = ::getpid();
    if (const auto fd = procfs_->open(self, "ns/pid", O_RDONLY)) {
        own_pidns_ = inode_of(fd->get());
    }
    if (const auto fd = procfs_->open(self, "ns/user", O_RDONLY)) {
        in_initial_userns_ = inode_of(fd->get()) == initial_userns_inode;
    }
}

Result<TargetNamespaces> NamespaceInspector::inspect(pid_t tid) const
{
    const Result<std::string> status = procfs_->read(tid, "status");
    if (!status && status.error().no_descriptor()) {
        return status.error();
    }
    return inspect(tid, status ? *status : "");
}

Result<TargetNamespaces> NamespaceInspector::inspect(pid_t tid, const std::string &status) const
{
    Credentials target;
    target.capable = (effective_capabilities(tid) & PID_CAPABILITIES) != 0;
    const std::optional<uid_t> euid = euid_in_status(status);
    if (!euid) {
        return Error{"read(/proc/status)", tid, ESRCH};
    }
    target.euid = *euid;
    Result<Fd> userns = procfs_->open(tid, "ns/user", O_RDONLY);
    if (!userns) {
        return userns.error();
    }
    target.userns = inode_of(userns->get());

    TargetNamespaces found;
    found.uid = *euid;
    Result<Fd> first = procfs_->open(tid, "ns/pid_for_children", O_RDONLY);
    if (!first && first.error().err == ENOENT) {
        // unshare(CLONE_NEWPID) without a child yet: the kernel shows the namespace only once it
        // has an init. Its parent is the active namespace, its owner the caller's user namespace.
        PidNamespace unborn;
        const Result<bool> privileged =
            capable_over(*procfs_, target, std::make_shared<Fd>(userns->release()));
        if (!privileged) {
            return privileged.error();
        }
        unborn.privileged = *privileged;
        found.chain.push_back(unborn);
        first = procfs_->open(tid, "ns/pid", O_RDONLY);
    }
    if (!first) {
        return first.error();
    }
    auto current = std::make_shared<Fd>(first->release());
    while (current) {
        PidNamespace entry;
        entry.fd = current;
        entry.inode = inode_of(current->get());
        Result<std::shared_ptr<Fd>> owner = related_namespace(*procfs_, current, NS_GET_USERNS);
        const Result<bool> privileged =
            owner ? capable_over(*procfs_, target, std::move(*owner)) : owner.error();
        if (!privileged) {
            return privileged.error();
        }
        entry.privileged = *privileged;
        found.chain.push_back(entry);
        if (entry.inode == own_pidns_) {
            break;
        }
        Result<std::shared_ptr<Fd>> parent = related_namespace(*procfs_, current, NS_GET_PARENT);
        if (!parent) {
            return parent.error();
        }
        current = std::move(*parent);
    }
    found.level = own_level_ + static_cast<unsigned>(found.chain.size()) - 1;
    // Nothing further out can be seen. Our own user namespace or an ancestor owns all of those. If
    // ours is the initial one, a target privileged here is privileged there.
    found.privileged_beyond = in_initial_userns_ && found.chain.back().privileged;
    return found;
}

CallerDetails NamespaceInspector::details_of(pid_t tid) const
{
    CallerDetails details;
    const bool in_ours = creates_in_ours(tid);
    if (in_ours) {
        // The status file has all of it, and costs twice as much.
        const Fd pidfd{open_thread_pidfd(tid)};
        details.uid = pidfd ? euid_of_pidfd(pidfd.get()) : std::nullopt;
        if (details.uid) {
            details.comm = procfs_->comm(tid);
            details.level = own_level_;
            return details;
        }
    }
    const std::optional<std::string> status = procfs_->read_if_alive(tid, "status");
    if (!status) {
        return details;
    }
    details.comm = comm_in_status(*status);
    if (in_ours) {
        details.level = own_level_;
        details.uid = euid_in_status(*status);
    } else if (auto target = inspect(tid, *status)) {
        details.level = target->level;
        details.uid = target->uid;
        details.below = std::move(*target);
    }
    return details;
}

} // namespace clone2
