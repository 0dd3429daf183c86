#!/bin/sh
# SPDX-License-Identifier: MIT
# sh around.sh PROGRAM [ARG...]: runs it in a sandbox with a pid namespace of its own, supervised
# from outside. $CLONE2_SUPERVISE: where clone2-supervise is, if not in $PATH.
exec "${CLONE2_SUPERVISE:-clone2-supervise}" -- \
    bwrap --unshare-user --uid 0 --gid 0 --cap-add CAP_SYS_ADMIN --unshare-pid \
    --bind / / --dev-bind /dev /dev --proc /proc -- "$@"
