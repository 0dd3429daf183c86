// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "pids/pid_picker.hpp"
#include "pids/strategy.hpp"
#include "target/namespaces.hpp"

#include <memory>

namespace clone2
{

/// By clone3's set_tid. The kernel takes the pids, or says EEXIST, and checks the caller's
/// privilege for each pid that it gets. Zeros that the kernel can't fill in itself are picked here.
class SetTid final : public PidStrategy
{
public:
    /// `inspector` must outlive this.
    SetTid(const std::shared_ptr<const Procfs> &procfs, const NamespaceInspector &inspector)
        : procfs_(procfs), inspector_(inspector), picker_(procfs)
    {
    }

    [[nodiscard]] Result<Prepared> prepare(pid_t tid, const Request &request,
                                           std::uint64_t user_end) override;
    void choose(pid_t tid, Prepared &prepared) override;
    [[nodiscard]] Verdict judge(pid_t tid, const Made &made) override;

private:
    /// After EEXIST: whether the call is made again with other picks, or why not.
    void replace_used_picks(const TargetNamespaces &target, const Made &made, Verdict &verdict);
    /// After EINVAL, for which a pick may be the cause.
    void replace_high_pick(const TargetNamespaces &target, const Made &made, Verdict &verdict);

    std::shared_ptr<const Procfs> procfs_;
    const NamespaceInspector &inspector_;
    PidPicker picker_;
};

} // namespace clone2
