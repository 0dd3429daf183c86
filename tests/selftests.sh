#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh tests/selftests.sh FOLDER [clone2|clone3]: runs the kernel selftests in the folder, all or
# those of one call, and counts their TAP lines.
cd "$1" || exit 99
passed=0
failed=0
skipped=0
# shellcheck disable=SC2231 # a pattern if no name is given
for test in ${2:-clone*}/clone*; do
    [ -x "$test" ] || continue
    echo "# $test"
    output=$(cd "${test%/*}" && timeout 300 "./${test##*/}" 2>&1)
    status=$?
    echo "$output"
    good=$(echo "$output" | grep -c '^ok .*' || true)
    skips=$(echo "$output" | grep -c '^ok .*# SKIP' || true)
    bad=$(echo "$output" | grep -c '^not ok ' || true)
    if [ "$status" != 0 ] && [ "$status" != 4 ] && [ "$bad" = 0 ]; then
        echo "not ok: $test ended with status $status"
        bad=1
    fi
    passed=$((passed + good - skips))
    failed=$((failed + bad))
    skipped=$((skipped + skips))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
