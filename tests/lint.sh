#!/bin/sh
# SPDX-License-Identifier: MIT
# sh tests/lint.sh warnings|format|tidy [CLANG-TIDY-OPTION...]: fails on any finding. Without an
# option clang-tidy also runs the analyzer, which takes two thirds of its time.
set -eu
cd "$(dirname "$0")/.."

sources() {
    git ls-files '*.c' '*.cpp' '*.h' '*.hpp'
}

# Headers are checked with what includes them. C for i386 is not: it is right with -m32 alone. Nor
# are extensions of Node and Java, which need headers that the build does without.
translation_units() {
    git ls-files '*.c' '*.cpp' | grep -v -e '/i386/.*\.c$' -e '/node_clone2\.c$' -e '/jni_clone2\.c$'
}

case ${1:-} in
warnings)
    [ -f build-clang/build.ninja ] || meson setup build-clang -Dwerror=true \
        --buildtype=plain # optimisation adds no clang warnings and takes longer
    meson compile -C build-clang
    ;;
format)
    sources | xargs clang-format --dry-run --Werror
    ;;
tidy)
    # Flags as clang understands them, so that gcc's options don't count as findings.
    [ -f build-clang/build.ninja ] || CC=clang CXX=clang++ meson setup build-clang
    shift
    translation_units |
        xargs -P "$(nproc)" -n 2 clang-tidy --quiet -p build-clang "$@"
    ;;
*)
    echo "usage: sh tests/lint.sh warnings|format|tidy [CLANG-TIDY-OPTION...]" >&2
    exit 2
    ;;
esac
