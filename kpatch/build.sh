#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh kpatch/build.sh [6.12|6.1] [--unpatched] [--cached]
#
# Builds Debian's kernel of that version (default 6.12) with the patches beside this file, or without,
# for the tests: with kernel-test.config, and the kernel's own selftests of clone2 and clone3 with
# it. Prints the folder of the result, which holds bzImage, config and selftests/. What was built
# once is found in the cache again, as long as source, patches and configuration are the same.
# --cached: looks only there; exit status 1 where it would have to be built. Installs nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

version=6.12
variant=patched
cached=no
for argument in "$@"; do
    case $argument in
    6.12 | 6.1) version=$argument ;;
    --unpatched) variant=unpatched ;;
    --cached) cached=yes ;;
    *)
        echo "usage: sh kpatch/build.sh [6.12|6.1] [--unpatched] [--cached]" >&2
        exit 2
        ;;
    esac
done

say() {
    echo "kpatch: $*" >&2
}

if [ "$cached" = no ]; then
    sh "$here/../tests/install-deps.sh" "linux-source-$version" gcc make flex bison bc cpio kmod \
        patch xz-utils libelf-dev libssl-dev libcap-dev python3 util-linux >&2
fi

patches=
[ "$variant" = unpatched ] || patches=$(ls "$here/linux-$version"/*.patch)
source_version=$(dpkg-query -W -f '${Version}' "linux-source-$version")
# shellcheck disable=SC2086 # a list of files; their names hold no blanks but perhaps those of $here
key=$(cd "$here" && { cat kernel-test.config build.sh; [ -z "$patches" ] || cat linux-"$version"/*.patch; } |
    sha256sum | cut -c 1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clone2-supervise/kernels
result=$cache/$source_version-$variant-$key

found() {
    if [ -f "$result/bzImage" ]; then
        echo "$result"
        exit 0
    fi
}

[ "$cached" = no ] || {
    found
    exit 1
}
mkdir -p "$cache"
# What is there is there, whatever else is being built.
found
# Two at once would be slower, and want twice the room.
exec 9>"$cache/lock"
flock 9
found
# Whoever left this behind is gone: it would hold the lock.
rm -rf "$cache"/work.*

work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
say "building Linux $source_version, $variant: some 7 minutes with 2 CPUs"

# step WHAT COMMAND...: says what goes on, shows the output of what fails.
step() {
    say "$1"
    shift
    "$@" >"$work/log" 2>&1 </dev/null || {
        tail -n 40 "$work/log" >&2
        say "failed: $*"
        exit 1
    }
}

mkdir "$work/source" "$work/object" "$work/result"
step "unpacking" tar -x -f "/usr/src/linux-source-$version.tar.xz" -C "$work/source" \
    --strip-components=1
for file in $patches; do
    step "applying ${file##*/}" patch -d "$work/source" -p 1 -i "$file"
done

make_kernel() {
    make -s -C "$work/source" O="$work/object" "$@"
}
merge_config() {
    (cd "$work/source" &&
        scripts/kconfig/merge_config.sh -m -O "$work/object" "$work/object/.config" \
            "$here/kernel-test.config")
}
step "configuring" make_kernel tinyconfig
step "configuring" merge_config
step "configuring" make_kernel olddefconfig
grep '^CONFIG' "$here/kernel-test.config" >"$work/wanted"
if grep -v -x -F -f "$work/object/.config" "$work/wanted" >&2; then
    say "these options did not take (see above)"
    exit 1
fi
# The quick part first: what fails there fails soon.
selftests=clone3
[ "$variant" = unpatched ] || selftests='clone2 clone3'
step "compiling the selftests" make_kernel headers
step "compiling the selftests" make_kernel -C "$work/source/tools/testing/selftests" \
    TARGETS="$selftests" KHDR_INCLUDES="-isystem $work/object/usr/include"
for test in $selftests; do
    mkdir -p "$work/result/selftests/$test"
    find "$work/object/kselftest/$test" -type f -perm -u+x \
        -exec cp {} "$work/result/selftests/$test/" \;
    [ -n "$(ls "$work/result/selftests/$test")" ] || {
        say "no selftests of $test were built"
        exit 1
    }
done
step "compiling the kernel" make_kernel -j "$(nproc)" bzImage
cp "$work/object/arch/x86/boot/bzImage" "$work/result/bzImage"
cp "$work/object/.config" "$work/result/config"

rm -rf "$result"
mv "$work/result" "$result"
say "built $result"
echo "$result"
