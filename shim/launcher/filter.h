// SPDX-License-Identifier: MIT
#ifndef SHIM_FILTER_H
#define SHIM_FILTER_H

// Installs the filter on this thread and all it becomes: `nr` asks the listener, all else is
// allowed. The listener's descriptor, or -errno: -EBUSY: the filter chain has a listener already;
// -EINVAL: no user notification (before 5.0).
long install_filter(long nr);

#endif
