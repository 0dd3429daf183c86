#!/bin/sh
# SPDX-License-Identifier: MIT
# sh run.sh LANGUAGE [PID...]: builds an example in a temporary directory and runs it in a new pid
# namespace. LANGUAGE: c, c-thread, musl, python, perl, go, rust, rust-asm, node, java, sh, bash,
# busybox. $CLONE2_SUPERVISE: path of clone2-supervise, if it is not in $PATH. $CLONE2_RUN: a command
# to run the example with, instead of "clone2-supervise --pidns --".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
arch=$here/arch/$(uname -m)
CC=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

compile() { # OUTPUT SOURCE [OPTION...]
    output=$1 source=$2
    shift 2
    $CC -O2 -Wall -Wextra -I"$here/../../shim" "$@" "$source" -o "$work/$output"
}

run() {
    # shellcheck disable=SC2086 # a command with its options
    ${CLONE2_RUN:-${CLONE2_SUPERVISE:-clone2-supervise} --pidns --} "$@"
}

language=${1:?usage: sh run.sh LANGUAGE [PID...]}
shift
case $language in
c)
    compile process "$here/process.c"
    run "$work/process" "$@"
    ;;
c-thread)
    compile thread "$arch/thread.c"
    run "$work/thread" "$@"
    ;;
musl)
    CC=musl-gcc
    compile process "$here/process.c" -static
    run "$work/process" "$@"
    ;;
python) run python3 "$here/process.py" "$@" ;;
perl) run perl "$here/process.pl" "$@" ;;
go)
    CGO_ENABLED=0 GO111MODULE=off GOCACHE=${GOCACHE:-$work/cache} \
        go build -o "$work/process" "$here/process.go"
    run "$work/process" "$@"
    ;;
rust)
    rustc --out-dir "$work" "$here/process.rs"
    run "$work/process" "$@"
    ;;
rust-asm)
    rustc --out-dir "$work" "$arch/instruction.rs"
    run "$work/instruction" "$@"
    ;;
node)
    compile clone2.node "$here/node_clone2.c" -shared -fPIC -I/usr/include/node
    export CLONE2_ADDON="$work/clone2.node"
    run node "$here/process.js" "$@"
    ;;
java)
    jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
    compile libclone2_jni.so "$here/jni_clone2.c" -shared -fPIC -I"$jdk/include" -I"$jdk/include/linux"
    javac -d "$work" "$here/Clone2.java"
    run java -Djava.library.path="$work" -cp "$work" Clone2 "$@"
    ;;
sh | bash | busybox)
    compile with_pid "$here/with_pid.c"
    PATH=$work:$PATH
    export PATH
    set -- "$here/process.sh" "$@"
    [ "$language" != busybox ] || set -- sh "$@"
    run "$language" "$@"
    ;;
*)
    echo "run.sh: no example for $language" >&2
    exit 2
    ;;
esac
