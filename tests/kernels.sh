#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh tests/kernels.sh BUILD RESULTS [--all]
#
# Tests that need a kernel from kpatch/build.sh: the patched 6.12 natively, the wrapper and agent
# that step aside for it, and calls of another number passed on to it. With --all also kernel and
# supervisor on both 6.12 and 6.1, with and without the patches. Writes RESULTS/kernel-NAME.counts
# ("N passed, N failed, N skipped") for each, and prints them as a table.
# shellcheck disable=SC2086,SC2016 # lists of words; backticks for the table
set -eu
cd "$(dirname "$0")/.."
build=$1
results=$2
all=${3:-}

supervise=$build/supervisor/clone2-supervise
conformance=$build/tests/conformance/clone2-conformance-static
conformance_i386=$build/tests/conformance/clone2-conformance-i386-static
differential=$build/tests/differential/clone2-differential
# An emulated CPU is some ten times slower: limits for a whole row and for a single check.
limit=3000
slow='-t 900 -j 2'

# row NAME TITLE BOOT-OPTIONS COMMAND...: runs the command, keeps its last line with counts.
row() {
    name=$1
    title=$2
    options=$3
    shift 3
    status=0
    sh kpatch/boot.sh --timeout "$limit" $options -- "$@" >"$results/$name.out" 2>&1 || status=$?
    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$results/$name.out" |
        tail -n 1 | sed 's/, 0 broken$//; s/failed, \([0-9]*\) skipped, \([0-9]*\) broken/failed, \1 skipped (\2 broken)/')
    case $status:$counts in
    *: | *broken* | [!0]*', 0 failed, '*) # no result, or a status that the counts don't explain
        echo "exit status $status"
        tail -n 40 "$results/$name.out"
        counts='0 passed, 1 failed, 0 skipped'
        ;;
    *', 0 failed, '*) ;;
    *) grep -E -A 2 '^(FAIL|not ok)' "$results/$name.out" | head -n 60 ;;
    esac
    echo "$counts" >"$results/kernel-$name.counts"
    echo "| $title | $counts |" | tee -a "$results/table"
}

# Missing from all our kernels: a pid_max per pid namespace (6.14).
CLONE2_MUST_RUN=1
CLONE2_ABSENT=pidns-pid-max
export CLONE2_MUST_RUN CLONE2_ABSENT

rm -f "$results/table"
CLONE2_EINTR=never row native-6.12 'the kernel itself | 6.12 patched' '' "$conformance" $slow all
row passed-6.12 'passed to the kernel, `--nr 500` | 6.12 patched' '' \
    "$supervise" --provider=kernel -n 500 -- "$conformance" -n 500 $slow all
# The kernel has clone2 alone: the wrapper translates the other forms to clone3.
row eclone-6.12 'eclone, `--provider=kernel` | 6.12 patched' '' \
    "$supervise" --provider=kernel -n 300=eclone -- "$conformance" -a eclone $slow all
for form in eclone=338 clone_with_pids=337; do
    CLONE2_ABSENT=$CLONE2_ABSENT,no-mapping row "${form%=*}-i386-6.12" \
        "${form%=*}, i386 program, \`--provider=kernel\` | 6.12 patched" '' \
        "$supervise" --provider=kernel -n "i386:${form#*=}=${form%=*}" -- \
        "$conformance_i386" -a "${form%=*}" $slow all
done
row wrapper-6.12 'wrapper and agent step aside | 6.12 patched' '' \
    env CLONE2_NATIVE=yes CLONE2_SUPERVISE="$PWD/$supervise" CLONE2_CALL="$PWD/$build/tests/integration/clone2-call" \
    /usr/bin/python3 tests/integration/test_provider.py
row cores-6.12 'core dumps, each kind of core_pattern | 6.12 patched' '' \
    env CLONE2_SUPERVISE="$PWD/$supervise" /usr/bin/python3 tests/integration/test_core_pattern.py
CLONE2_EINTR=never row i386-6.12 'the kernel itself, i386 program | 6.12 patched' '' \
    "$conformance_i386" $slow all
row selftests-6.12 "the kernel's selftests of clone2 and clone3 | 6.12 patched" '' \
    sh tests/selftests.sh "$(sh kpatch/build.sh 6.12)/selftests"
if [ "$all" = --all ]; then
    sh tests/boot.sh >"$results/boot.out" 2>&1 || cat "$results/boot.out"
    tail -n 1 "$results/boot.out" >"$results/kernel-boot.counts"
    row differential-6.12 '5,000 random calls, kernel and supervisor alike | 6.12 patched' '' \
        sh tests/differential/compare.sh "$supervise" "$differential" 5000
    row supervised-6.12 'supervisor, `--provider=supervisor` | 6.12 patched' '' \
        "$supervise" --provider=supervisor -- "$conformance" $slow all
    CLONE2_EINTR=never CLONE2_VIA=int80 CLONE2_ABSENT=$CLONE2_ABSENT,no-mapping row int80-6.12 \
        'the kernel itself, i386 calls of a 64-bit program | 6.12 patched' '' "$conformance" $slow all
    # By sysenter and by syscall.
    for vendor in GenuineIntel AuthenticAMD; do
        CLONE2_EINTR=never CLONE2_VIA=vdso CLONE2_ABSENT=$CLONE2_ABSENT,bare-instruction row vdso-$vendor \
            "the kernel itself, i386 program, \`CLONE2_VIA=vdso\`, $vendor | 6.12 patched" \
            "--cpu max,vendor=$vendor" "$conformance_i386" $slow all
    done
    row unpatched-6.12 'supervisor | 6.12' --unpatched "$supervise" -- "$conformance" $slow all
    row before-6.12 "the kernel's selftests of clone3 | 6.12" --unpatched \
        sh tests/selftests.sh "$(sh kpatch/build.sh 6.12)/selftests" clone3
    row unpatched-6.1 'supervisor | 6.1' '--kernel 6.1 --unpatched' \
        "$supervise" -- "$conformance" $slow all
    CLONE2_EINTR=never row native-6.1 'the kernel itself | 6.1 patched' '--kernel 6.1' \
        "$conformance" $slow all
    CLONE2_EINTR=never row i386-6.1 'the kernel itself, i386 program | 6.1 patched' '--kernel 6.1' \
        "$conformance_i386" $slow all
    row selftests-6.1 "the kernel's selftests of clone2 and clone3 | 6.1 patched" '--kernel 6.1' \
        sh tests/selftests.sh "$(sh kpatch/build.sh 6.1)/selftests"
fi
