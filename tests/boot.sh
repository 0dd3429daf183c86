#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh tests/boot.sh: tests that kpatch/boot.sh passes everything through. Ends with "N passed, N
# failed, N skipped".
cd "$(dirname "$0")/.." || exit 99
passed=0
failed=0

# expect WHAT WANTED GOT
expect() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok   $1"
    else
        failed=$((failed + 1))
        printf 'FAIL %s: expected "%s", got "%s"\n' "$1" "$2" "$3"
    fi
}

newline='
'
# shellcheck disable=SC2089 # must not be split into words
odd="a'b\"c  \$HOME${newline}\\n*"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
CLONE2_TOLD=$odd
# shellcheck disable=SC2090
export CLONE2_TOLD
# shellcheck disable=SC2016 # for the guest's shell
output=$(sh kpatch/boot.sh -- sh -c \
    'printf "%s|%s|%s|%s" "$1" "$CLONE2_TOLD" "$PWD" "$(id -u)"; echo error >&2; exit 7' \
    sh "$odd" 2>"$folder/err")
expect "the exit status" 7 $?
expect "arguments, environment, folder, user" "$odd|$odd|$PWD|0" "$output"
expect "errors" error "$(cat "$folder/err")"

sh kpatch/boot.sh -- sh -c "echo x >'$folder/new' && test -s '$folder/new'" >/dev/null 2>&1
expect "files can be written" 0 $?
expect "and are not there afterwards" "" "$(find "$folder" -name new)"

sh kpatch/boot.sh --timeout 10 -- sleep 60 >/dev/null 2>&1
expect "a timeout" 124 $?
# reboot(2): LINUX_REBOOT_CMD_RESTART
sh kpatch/boot.sh -- perl -e 'syscall(169, 0xfee1dead, 537993216, 0x1234567, 0)' >/dev/null 2>&1
expect "a guest that ends by itself" 125 $?
sh kpatch/boot.sh --kernel >/dev/null 2>&1
expect "usage" 125 $?

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
