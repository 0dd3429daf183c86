#!/bin/sh
# SPDX-License-Identifier: MIT
# sh build.sh FOLDER: builds the Debian packages of this tree, without changing it, into FOLDER.
set -eu
mkdir -p "$1"
target=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
mkdir "$target/source"
tar -c --exclude='./build*' --exclude=./.git . | tar -x -C "$target/source"
cp -r examples/packaging/debian "$target/source/debian"
cd "$target/source"
# debhelper gives the build a new HOME, and with it an empty cache.
if command -v ccache >/dev/null; then
    CCACHE_DIR=$(ccache --get-config cache_dir)
    export CCACHE_DIR
fi
dpkg-buildpackage -b -us -uc >"$target/build.log" 2>&1 || {
    tail -n 40 "$target/build.log"
    exit 1
}
rm -rf "$target/source"
