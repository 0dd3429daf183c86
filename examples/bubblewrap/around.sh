#!/bin/sh
# SPDX-License-Identifier: MIT
# sh around.sh PROGRAM [ARG...]: runs PROGRAM in a sandbox with a new pid namespace, supervised from
# outside. $CLONE2_SUPERVISE: path of clone2-supervise, if it is not in $PATH.
exec "${CLONE2_SUPERVISE:-clone2-supervise}" -- \
    bwrap --unshare-user --uid 0 --gid 0 --cap-add CAP_SYS_ADMIN --unshare-pid \
    --bind / / --dev-bind /dev /dev --proc /proc -- "$@"
