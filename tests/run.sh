#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh tests/run.sh [--all | --kernels]
#
# Installs missing packages, builds, and runs the tests. Ends with the failures, the commands that
# repeat them, and a line "N passed, N failed, N skipped".
#   (nothing)    every suite that one build can run
#   --all        also the sanitizers, clang, the linters, the tarball, the build's options, Debian
#                packages, examples in Rust, Java and for Node (800 MB of packages), and the patched
#                6.12 kernel in QEMU, which the first run builds; this is what continuous integration
#                runs
#   --kernels    as --all, with kernel and supervisor on 6.12 and 6.1, patched and not
set -eu
cd "$(dirname "$0")/.."

all=no
kernels=no
case $#:${1:-} in
0:) ;;
1:--all) all=yes ;;
1:--kernels) all=yes kernels=yes ;;
*)
    echo "usage: sh tests/run.sh [--all | --kernels]" >&2
    exit 2
    ;;
esac

# Chosen pids, namespaces and ptrace need root; tests of use without root run as nobody.
if [ "$(id -u)" != 0 ]; then
    exec sudo sh "$0" "$@"
fi

echo "This installs missing packages, builds, and runs every suite once: about 10 minutes on 2 CPUs."
if [ "$kernels" = yes ]; then
    echo "Then sanitizers, clang, linters, and five kernels in QEMU: an hour more, and building the kernels."
elif [ "$all" = yes ]; then
    echo "Then sanitizers, clang, linters, packages and a patched kernel: 30 minutes more, 45 where the"
    echo "kernel has to be built first."
else
    echo "Sanitizers, clang, linters, packages, kernels, and (unless installed) Rust, Node and Java are left to:"
    echo "sh tests/run.sh --all"
fi

packages='g++ meson ninja-build pkg-config libseccomp-dev liburing-dev libboost1.81-dev doctest-dev
    nlohmann-json3-dev python3 python3-yaml procps strace gdb perl musl-tools golang-go busybox-static
    gcc-i686-linux-gnu libc6-dev-i386-cross mandoc fish zsh uidmap
    bubblewrap apache2-bin crun runc podman netavark catatonit systemd'
if [ "$all" = yes ]; then
    # Several builds have most of their objects in common.
    packages="$packages clang clang-format clang-tidy debhelper lintian ccache"
    # Languages whose packages are large, unless they are here already: 70, 410 and 300 MB.
    command -v node >/dev/null || packages="$packages nodejs libnode-dev"
    command -v rustc >/dev/null || packages="$packages rustc"
    command -v javac >/dev/null || packages="$packages default-jdk-headless"
fi
# shellcheck disable=SC2086 # a list of words
sh tests/install-deps.sh $packages

results=$(mktemp -d)
kernel_build=
finish() {
    [ -z "$kernel_build" ] || kill -- "-$kernel_build" 2>/dev/null || :
    rm -rf "$results"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
# A test that can't run here is a failure, unless its feature is listed as absent.
CLONE2_MUST_RUN=1
export CLONE2_MUST_RUN
if [ "$all" = no ]; then
    CLONE2_ABSENT="${CLONE2_ABSENT:-} node rustc javac"
    export CLONE2_ABSENT
fi

started=$(date +%s)
step() {
    minutes=$((($(date +%s) - started) / 60))
    printf '\n== %s (after %s min)\n' "$*" "$minutes"
}

# build DIRECTORY TARGETS [MESON OPTION...]: sets up once and compiles; warnings are errors.
build() {
    directory=$1
    targets=$2
    shift 2
    [ -f "$directory/build.ninja" ] || meson setup "$directory" -Dwerror=true -Dtests=enabled "$@" >/dev/null
    # shellcheck disable=SC2086 # a list of words
    meson compile -C "$directory" $targets >"$results/build.log" 2>&1 || {
        cat "$results/build.log"
        echo "the build in $directory failed (see above)" >&2
        exit 1
    }
}

# run NAME DIRECTORY [MESON TEST ARGUMENT...]: runs tests and keeps their results.
run() {
    name=$1
    directory=$2
    shift 2
    meson test -C "$directory" --no-rebuild --print-errorlogs --logbase "$name" "$@" || true
    cp "$directory/meson-logs/$name.json" "$results/$name.json"
}

# check NAME COMMAND...: one more test, which passes with exit status 0.
check() {
    name=$1
    shift
    if "$@" >"$results/$name.out" 2>&1; then
        echo pass >"$results/$name.check"
        echo "ok $name"
    else
        echo "fail $*" >"$results/$name.check"
        echo "FAIL $name: $*"
        tail -n 60 "$results/$name.out"
    fi
}

# Programs that deal with threads and hostile input; the examples' own tests take too long under
# sanitizers.
sanitized='clone2-supervise unit api agent-unit shim-plan-test clone2-conformance'

step "build (gcc)"
build build ''
if [ "$all$kernels" = yesno ] && ! sh kpatch/build.sh --cached >/dev/null 2>&1; then
    # In its own process group, so that it can be ended as a whole. setsid also makes a session, to
    # which the kernel's autogroups would give half of the CPUs.
    setsid sh -c 'echo 19 >/proc/self/autogroup
        exec nice -n 19 sh kpatch/build.sh' >"$results/kernel-build.log" 2>&1 &
    kernel_build=$!
fi
step "tests"
run tests build

if [ "$all" = yes ]; then
    step "build (AddressSanitizer and UndefinedBehaviorSanitizer)"
    build build-asan "$sanitized" -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=0
    step "tests under them"
    run asan build-asan --suite sanitized
    step "build (ThreadSanitizer)"
    build build-tsan "$sanitized" -Db_sanitize=thread -Db_lundef=false -Doptimization=0
    step "tests under it"
    run tsan build-tsan --suite sanitized

    step "clang and the linters"
    check clang-warnings env CC=clang CXX=clang++ sh tests/lint.sh warnings
    check clang-format sh tests/lint.sh format
    check clang-tidy sh tests/lint.sh tidy --checks=-clang-analyzer-*

    step "the tarball, and the build's options"
    check builds sh tests/builds.sh build
    step "Debian packages"
    check debian-packages sh examples/packaging/test.sh
fi

if [ "$kernels" = yes ]; then
    step "kernels"
    sh tests/kernels.sh build "$results" --all || echo fail >"$results/kernels.check"
elif [ "$all" = yes ]; then
    step "kernel"
    if [ -n "$kernel_build" ]; then
        wait "$kernel_build" || cat "$results/kernel-build.log"
        kernel_build=
    fi
    sh tests/kernels.sh build "$results" || echo fail >"$results/kernels.check"
fi

step "results"
python3 tests/count_results.py "$results"
