#!/bin/sh
# SPDX-License-Identifier: MIT
# rootless.sh SUPERVISE CONFORMANCE: the whole suite as nobody, in the namespaces of --pidns.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
# What one user in a user namespace of its own does not have.
CLONE2_ABSENT=root,users
export CLONE2_ABSENT
# Nobody may not be let into the build's folder.
cp "$1" "$folder/clone2-supervise"
cp "$2" "$folder/clone2-conformance"
chmod 755 "$folder" "$folder"/*
shift 2
# Not exec: the trap has to run.
if [ "$(id -u)" = 0 ]; then
    setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$folder/clone2-supervise" --pidns -- "$folder/clone2-conformance" "$@"
else
    "$folder/clone2-supervise" --pidns -- "$folder/clone2-conformance" "$@"
fi
