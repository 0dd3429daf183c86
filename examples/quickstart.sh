#!/bin/sh
# SPDX-License-Identifier: MIT
# From a fresh Debian 12 to a restored process tree: installs missing packages, builds, shows clone2
# at work, then restores the tree of a running Apache with the same pids. Run it as root, or as a
# user who may use sudo (for the packages only). It can be run any number of times.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
supervise=build/supervisor/clone2-supervise
restore=build/examples/pstree_restore
work=
server=

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# Prints the command and runs it.
run() {
    printf '$ %s\n' "$*"
    "$@" || fail "this failed with status $?: $*"
}

stop_server() {
    [ -n "$server" ] || return 0
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

clean_up() {
    status=$?
    trap - EXIT
    stop_server
    [ -z "$work" ] || rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Uses a private configuration; the system's is neither read nor changed.
write_configuration() {
    cat >"$work/httpd.conf" <<EOF
ServerName 127.0.0.1
Listen 127.0.0.1:$1
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
DefaultRuntimeDir "$work"
PidFile "$work/httpd.pid"
ErrorLog "$work/error.log"
DocumentRoot "$work/htdocs"
User www-data
Group www-data
ServerLimit 2
StartServers 2
ThreadsPerChild 25
ThreadLimit 25
MaxRequestWorkers 50
MinSpareThreads 25
MaxSpareThreads 50
EOF
}

# Apache is up with two workers, each with 25 threads, a listener and its first thread.
server_is_up() {
    grep -q 'resuming normal operations' "$work/error.log" 2>/dev/null || return 1
    [ "$(ps -o nlwp= --ppid "$server" | tr -d ' ' | sort | tr '\n' ' ')" = '27 27 ' ]
}

# Runs in a new session, as a service does. In a script, setsid keeps the pid.
start_server() {
    for attempt in 1 2 3 4 5; do
        port=$((20000 + ($$ + attempt * 997) % 12000)) # below the range of outgoing connections
        write_configuration "$port"
        : >"$work/error.log"
        setsid /usr/sbin/apache2 -d "$work" -f "$work/httpd.conf" -DFOREGROUND \
            >"$work/output" 2>&1 </dev/null &
        server=$!
        tries=100
        while [ "$tries" -gt 0 ] && kill -0 "$server" 2>/dev/null; do
            ! server_is_up || return 0
            sleep 0.2
            tries=$((tries - 1))
        done
        stop_server
        grep -q 'Address already in use' "$work/output" "$work/error.log" || break
    done
    cat "$work/output" "$work/error.log" >&2
    fail 'Apache did not start (see above)'
}

say 'Installing missing Debian packages'
sh tests/install-deps.sh g++ meson ninja-build pkg-config libseccomp-dev liburing-dev \
    libboost1.81-dev doctest-dev nlohmann-json3-dev procps apache2-bin ||
    fail 'some packages are missing'

say 'Building'
[ -f build/build.ninja ] || run meson setup build
run meson compile -C build clone2-supervise clone2_hello pstree_restore

say 'A program asks for a child with the pids 77 and, in a nested pid namespace, 99'
run "$supervise" --pidns -- build/examples/clone2_hello

work=$(mktemp -d)
mkdir "$work/htdocs"
chmod 755 "$work"
say 'Starting Apache with two worker processes of 25 threads each, on a loopback port'
start_server
echo "Apache is up: pid $server, port $port"

say 'Reading its process tree'
echo "\$ $restore --capture $server >tree.json"
"$restore" --capture "$server" >"$work/tree.json" || fail 'the tree could not be read'

say 'Stopping Apache'
stop_server

say 'Restoring the tree in a new pid namespace, and comparing it with the original'
echo "\$ $supervise --pidns -- $restore --verify tree.json"
"$supervise" --pidns -- "$restore" --verify "$work/tree.json" >"$work/result" || {
    status=$?
    cat "$work/result"
    fail "no tree was restored, or it differs (status $status)"
}
cat "$work/result"
counts=$(sed -n 's/^identical: \([0-9]*\) process[a-z]* and \([0-9]*\) .*/\1 \2/p' "$work/result")
[ -n "$counts" ] || fail 'no result'
processes=${counts% *}
threads=$((${counts#* } + processes))
say "Done: restored $processes processes and $threads threads with identical pids"
