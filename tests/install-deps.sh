#!/bin/sh
# SPDX-License-Identifier: MIT
# sh tests/install-deps.sh PACKAGE...
# Installs those of the Debian packages that are missing; uses the network only in that case.
set -eu

missing=
for package in "$@"; do
    # The status of a removed package with configuration files left is "deinstall ok config-files".
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) || status=
    case $status in
    'install ok installed') ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

fail() {
    echo "install-deps: $1" >&2
    echo "install-deps: missing:$missing" >&2
    exit 1
}

command -v apt-get >/dev/null || fail 'apt-get not found: install these packages by other means'
if [ "$(id -u)" -eq 0 ]; then
    sudo=
elif command -v sudo >/dev/null; then
    sudo=sudo
else
    fail 'installing packages takes root, and there is no sudo: run this as root'
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# If another process uses dpkg, wait for it.
apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" \
        >"$log" 2>&1
}

echo "installing:$missing"
# Old lists may name packages that the mirrors no longer have.
if ! apt update; then
    cat "$log" >&2
    fail 'apt-get update failed (see above)'
fi
# shellcheck disable=SC2086 # a list of words
if ! apt install -y --no-install-recommends $missing; then
    cat "$log" >&2
    fail 'apt-get install failed (see above)'
fi
