#!/bin/sh
# SPDX-License-Identifier: MIT
# rootless.sh SUPERVISE CONFORMANCE: the whole suite as nobody, in the namespaces of --pidns.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
# What a single user in its own user namespace lacks.
CLONE2_ABSENT=root,users
export CLONE2_ABSENT
# nobody may lack access to the build directory.
cp "$1" "$folder/clone2-supervise"
cp "$2" "$folder/clone2-conformance"
chmod 755 "$folder" "$folder"/*
shift 2
# Not exec, because the trap must run.
if [ "$(id -u)" = 0 ]; then
    setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$folder/clone2-supervise" --pidns -- "$folder/clone2-conformance" "$@"
else
    "$folder/clone2-supervise" --pidns -- "$folder/clone2-conformance" "$@"
fi
