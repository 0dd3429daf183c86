#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh kpatch/selftests.sh [6.12|6.1] [--unpatched]
#
# Runs the kernel's selftests of clone3, and those of clone2 if the kernel has it, under the kernel
# of that version (default 6.12). Prints their TAP and "N passed, N failed, N skipped".
set -eu
here=$(cd "$(dirname "$0")" && pwd)

version=6.12
variant=
for argument in "$@"; do
    case $argument in
    6.12 | 6.1) version=$argument ;;
    --unpatched) variant=--unpatched ;;
    *)
        echo "usage: sh kpatch/selftests.sh [6.12|6.1] [--unpatched]" >&2
        exit 2
        ;;
    esac
done

# shellcheck disable=SC2086 # one word or none
kernel=$(sh "$here/build.sh" "$version" $variant)
# shellcheck disable=SC2086
exec sh "$here/boot.sh" --kernel "$version" $variant -- \
    sh "$here/../tests/selftests.sh" "$kernel/selftests"
