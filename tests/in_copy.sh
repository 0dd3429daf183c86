#!/bin/sh
# SPDX-License-Identifier: MIT
# sh tests/in_copy.sh FOLDER COMMAND...: runs COMMAND in a copy of this system that nobody else sees,
# in a pid namespace of its own. FOLDER is /mnt there. The copy, and what still runs in it, ends with
# COMMAND. As root.
set -eu
folder=$(cd "$1" && pwd)
shift
top=$(mktemp -d)
trap 'rmdir "$top"' EXIT
# shellcheck disable=SC2016 # for the inner shell
unshare --mount --pid --fork --kill-child sh -eu -c '
    mount -t tmpfs none "$1"
    cd "$1"
    mkdir upper work root
    mount -t overlay none -o lowerdir=/,upperdir=upper,workdir=work root
    mount --bind "$2" root/mnt
    cd root
    mount -t proc none proc
    mount --rbind /dev dev
    mount -t tmpfs none run
    mount -t tmpfs none tmp
    shift 2
    exec chroot . "$@"' sh "$top" "$folder" "$@"
