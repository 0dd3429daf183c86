#!/bin/sh
# SPDX-License-Identifier: MIT
# sh tests/installed.sh <LIST: the LIST of files was installed here from a release build. Checks them,
# and compiles and runs the examples clone2_hello.c and embed.c, which are in the current folder,
# with every way to clone2. As root; leaves programs in the folder.
set -eu
version=$(clone2-supervise --version | sed 's/.* //')

fail() {
    echo "$*" >&2
    exit 1
}

objects=0
while read -r file; do
    kind=$(readelf -h "$file" 2>/dev/null | sed -n 's/^ *Type: *\([A-Z]*\).*/\1/p')
    case $kind in
    DYN | EXEC) ;;
    *) continue ;; # an archive, too, has several types
    esac
    objects=$((objects + 1))
    ! readelf -SW "$file" | grep -q '\.symtab' || fail "not stripped: $file"
    # clone2-shim is static.
    readelf -lW "$file" | grep -q DYNAMIC || continue
    readelf -dW "$file" | grep -q 'FLAGS.* NOW' || fail "binds its functions late: $file"
    soname=$(readelf -dW "$file" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
    case $soname in
    '' | *.so."${version%%.*}") ;;
    *) fail "$file has soname $soname, the project version $version" ;;
    esac
done
[ "$objects" -ge 4 ] || fail "only $objects programs and libraries"

[ "$(clone2-shim --version | sed 's/.* //')" = "$version" ] || fail 'clone2-shim has another version'
for library in clone2 clone2supervise; do
    [ "$(pkg-config --modversion $library)" = "$version" ] || fail "$library.pc has another version"
done
# shellcheck disable=SC2046 # lists of words
{
    cc clone2_hello.c $(pkg-config --cflags --libs clone2) -o hello
    cc embed.c $(pkg-config --cflags --libs clone2supervise) -o embed
    cc -static embed.c $(pkg-config --static --cflags --libs clone2supervise) -o embed-static
}
set -x
clone2-supervise -- ./hello
clone2-supervise --pidns -- ./hello
clone2-supervise --pidns --preload -- ./hello
env LD_PRELOAD=libclone2.so.1 ./hello
./embed ./hello
./embed-static ./hello
