#!/bin/sh
# SPDX-License-Identifier: MIT
# sh tests/builds.sh BUILD
#
# Makes the tarball that users get, unpacks it, builds it with each option, and tests what differs.
# BUILD is a build directory of the repository. As root. Run with ccache, most objects are there
# already.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
CCACHE_NOHASHDIR=1 # objects of another folder will do
export CCACHE_NOHASHDIR

step() { printf '== %s\n' "$*"; }

fail() {
    echo "builds: $*" >&2
    exit 1
}

# set_up FOLDER OPTION...: configures the unpacked tree; its messages go to FOLDER.log.
set_up() {
    folder=$1
    shift
    meson setup "$folder" -Dwerror=true "$@" >"$folder.log" 2>&1 || {
        tail -n 20 "$folder.log"
        fail "meson setup $*"
    }
}

compile() {
    meson compile -C "$1" >"$1.log" 2>&1 || {
        tail -n 40 "$1.log"
        fail "the build in $1"
    }
}

# tests FOLDER ARGUMENT...: runs some of its tests.
tests() {
    folder=$1
    shift
    meson test -C "$folder" --no-rebuild --print-errorlogs "$@"
}

# has FOLDER TARGET: whether this is built there.
has() { ninja -C "$1" -t targets all | grep -q "^$2:"; }

# lacks FOLDER TARGET...: none of them is built there.
lacks() {
    folder=$1
    shift
    for target; do
        ! has "$folder" "$target" || fail "$target is built in $folder"
    done
}

step "the tarball"
: >"$work/started"
# What is tested is the last commit.
meson dist -C "$1" --no-tests --formats gztar --allow-dirty >"$work/dist.log" 2>&1 || {
    cat "$work/dist.log"
    fail 'meson dist'
}
tarball=$(find "$1/meson-dist" -name "*.tar.gz" -newer "$work/started")
tar -xzf "$tarball" -C "$work"
cd "$work"/clone2-supervise-*
git -C "$top" ls-tree -r --name-only HEAD | sort >../committed
find . -type f | sed 's|^\./||' | sort >../packed
diff ../committed ../packed || fail 'the tarball (>) has other files than the repository (<)'

step 'the whole of it'
set_up build -Dtests=enabled
compile build
tests build --suite unit
tests build documents shim embed

step 'as a subproject'
mkdir -p ../user/subprojects
ln -s "$PWD" ../user/subprojects/clone2-supervise
cp examples/clone2_hello.c examples/embed_c/embed.c ../user
cat >../user/meson.build <<'EOF'
project('user', 'c', 'cpp')
subproject('clone2-supervise', default_options: ['tests=disabled', 'examples=disabled'])
executable('hello', 'clone2_hello.c', dependencies: dependency('clone2'))
executable('embed', 'embed.c', dependencies: dependency('clone2supervise'))
EOF
(
    cd ../user
    set_up build
    ninja -C build hello >hello.log || fail "$(cat hello.log)"
    ninja -C build -n embed >/dev/null
)

step 'without io_uring'
set_up build-epoll -Dio_uring=disabled -Dtests=enabled
lacks build-epoll supervisor/libloop_io_uring.a
compile build-epoll
tests build-epoll unit check

step 'without doctest, and without tests and examples; installed'
unshare --mount sh -eu -c '
    mount -t tmpfs none /usr/include/doctest
    meson setup build-plain -Dwerror=true
    ! meson setup build-refused -Dtests=enabled' >build-plain.log 2>&1 || {
    cat build-plain.log
    fail 'doctest'
}
grep -q 'doctest-dev is not installed' build-plain.log || fail "$(cat build-plain.log)"
lacks build-plain tests/unit/unit
has build-plain examples/clone2_hello || fail 'no examples'
set_up build-small --buildtype=release --strip -Dtests=disabled -Dexamples=disabled -Dio_uring=disabled
lacks build-small tests/unit/unit examples/clone2_hello
compile build-small
mkdir ../installed
DESTDIR=$work/installed meson install -C build-small --no-rebuild --quiet
cp examples/clone2_hello.c examples/embed_c/embed.c tests/installed.sh ../installed
# shellcheck disable=SC2016 # for the inner shell
sh tests/in_copy.sh ../installed sh -eu -c '
    cd /mnt
    cp -a usr /
    ldconfig
    find usr -type f | sed s:^:/: | sh installed.sh'

step 'static'
set_up build-static -Dstatic=enabled -Dtests=disabled
compile build-static
readelf -l build-static/supervisor/clone2-supervise | grep -q INTERP && fail 'not static'
build-static/supervisor/clone2-supervise --pidns -- build-static/examples/clone2_hello |
    grep -F 'the child had the pids that were asked for'
