#!/bin/sh
# SPDX-License-Identifier: MIT
# sh test.sh [FOLDER-WITH-PACKAGES]: builds the Debian packages, unless given, checks them with
# lintian, and lets use.sh install, use and purge them in a copy of this system. As root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
sh "$top/tests/install-deps.sh" debhelper dpkg-dev g++ lintian systemd meson pkg-config libseccomp-dev \
    liburing-dev libboost1.81-dev nlohmann-json3-dev

packages=${1:-}
if [ -z "$packages" ]; then
    packages=$work/packages
    sh "$here/build.sh" "$packages"
fi
lintian --allow-root --fail-on error,warning "$packages"/*.changes

mkdir "$work/try"
cp "$packages"/*.deb "$here/use.sh" "$top/tests/installed.sh" "$top/examples/clone2_hello.c" \
    "$top/examples/embed_c/embed.c" "$work/try"
sh "$top/tests/in_copy.sh" "$work/try" sh /mnt/use.sh
