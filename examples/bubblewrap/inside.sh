#!/bin/sh
# SPDX-License-Identifier: MIT
# sh inside.sh PROGRAM [ARG...]: runs PROGRAM in a sandbox with a new pid namespace, in which
# clone2-shim hands its listener to an agent outside. $CLONE2_SOCKET: the agent's socket;
# $CLONE2_LAUNCHER: path of clone2-shim, if it is not in $PATH.
socket=${CLONE2_SOCKET:-/run/clone2-supervise/agent.sock}
directory=$(dirname "$socket")
# The directory, not the socket, because a restarted agent creates a new socket in it.
exec bwrap --unshare-user --uid 0 --gid 0 --cap-add CAP_SYS_ADMIN --unshare-pid \
    --bind / / --dev-bind /dev /dev --proc /proc \
    --bind "$directory" "$directory" -- \
    "${CLONE2_LAUNCHER:-clone2-shim}" --socket "$socket" -- "$@"
