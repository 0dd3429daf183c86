#!/bin/sh
# SPDX-License-Identifier: MIT
# sh use.sh: installs the packages beside it, tries each of them with the examples and
# tests/installed.sh, which are there, too, and purges them. As root, on a system that may be changed.
set -eu
cd "$(dirname "$0")"
names='clone2-supervise libclone2-1 libclone2-dev libclone2supervise1 libclone2supervise-dev'

fail() {
    echo "$*" >&2
    exit 1
}

# What packages own, and systemd's notes of them.
listing() { find /etc /usr /opt /var/lib/systemd -xdev ! -type d ! -name ld.so.cache -printf '%p %s\n' | sort; }

rm -f ./*-dbgsym_*
listing >before
dpkg --force-confnew -i ./*.deb
# shellcheck disable=SC2086 # a list of words
dpkg -L $names | sort -u >files

for page in clone2.2 clone2-supervise.1 clone2-shim.1 clone2supervise.3 clone2-policy.5 libclone2.7; do
    grep -qx "/usr/share/man/man${page##*.}/$page.gz" files || fail "no manual page $page"
done
for command in clone2-supervise clone2-shim; do
    for place in bash-completion/completions/ zsh/vendor-completions/_ fish/vendor_completions.d/; do
        grep -q "^/usr/share/$place$command" files || fail "nothing for $command in $place"
    done
done

units=$(grep '/clone2-supervise\.\(service\|socket\)$' files)
# shellcheck disable=SC2086 # a list of words
[ "$(echo $units | wc -w)" = 2 ] || fail "units: $units"
# shellcheck disable=SC2086 # a list of words
complaints=$(systemd-analyze verify --man=no $units 2>&1) || fail "$complaints"
[ -z "$complaints" ] || fail "$complaints"

sh ./installed.sh <files

# As its unit starts it; systemd would have made the folder.
mkdir -p /run/clone2-supervise
agent=$(sed -n 's/^ExecStart=\(.*\) [$]CLONE2_OPTIONS$/\1/p' \
    /lib/systemd/system/clone2-supervise.service)
$agent &
tries=100
until clone2-shim --check=agent >/dev/null; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "the agent does not listen"
    sleep 0.2
done
clone2-shim -- ./hello
kill $!
wait $! || fail "the agent ended with $?"

# shellcheck disable=SC2086 # a list of words
dpkg --purge $names
listing | diff before - || fail 'the system differs from what it was before'
echo 'installed, used, purged'
