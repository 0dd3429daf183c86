#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh kpatch/boot.sh [--kernel 6.12|6.1] [--unpatched] [--timeout SECONDS] [--memory MB] [--cpus N] \
#     [--cpu MODEL] [--] COMMAND [ARGUMENT...]
#
# Runs COMMAND as root under a kernel from build.sh, in QEMU without hardware support, on this
# machine's own files and in the current folder. File changes are lost at the end; output, errors
# and the exit status are passed on. 124: the timeout (default 600 s) was exceeded; 125: this script
# or the kernel failed. Standard input is empty. Environment variables that begin with CLONE2_ are
# passed on.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

usage() {
    echo "usage: sh kpatch/boot.sh [--kernel 6.12|6.1] [--unpatched] [--timeout SECONDS]" \
        "[--memory MB] [--cpus N] [--cpu MODEL] [--] COMMAND [ARGUMENT...]" >&2
    exit 125
}

version=6.12
variant=
seconds=600
memory=1024
cpus=2
cpu=max
while [ $# -gt 0 ]; do
    case $1 in
    --unpatched)
        variant=--unpatched
        shift
        ;;
    --kernel | --timeout | --memory | --cpus | --cpu)
        [ $# -ge 2 ] || usage
        case $1 in
        --kernel) version=$2 ;;
        --timeout) seconds=$2 ;;
        --memory) memory=$2 ;;
        --cpus) cpus=$2 ;;
        --cpu) cpu=$2 ;;
        esac
        shift 2
        ;;
    --)
        shift
        break
        ;;
    -*) usage ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || usage
for number in "$seconds" "$memory" "$cpus"; do
    case $number in
    '' | *[!0-9]*) usage ;;
    esac
done

sh "$here/../tests/install-deps.sh" qemu-system-x86 perl-base coreutils >&2 || exit 125
# shellcheck disable=SC2086 # one word or none
kernel=$(sh "$here/build.sh" "$version" $variant) || exit 125

job=$(mktemp -d)
emulator=
# shellcheck disable=SC2317 # called by the trap
cleanup() {
    # A second signal (timeout(1) sends two) must not interrupt the cleanup.
    trap '' INT TERM HUP
    [ -z "$emulator" ] || kill "$emulator" 2>/dev/null || true
    rm -rf "$job"
}
trap cleanup EXIT
trap 'exit 125' INT TERM HUP

# Quotes a text as one word of a shell script.
quote() {
    printf '%s\n' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
}

{
    # printf, because echo interprets backslashes.
    printf 'cd %s || exit 125\n' "$(quote "$PWD")"
    for name in $(env | sed -n 's/^\(CLONE2_[A-Za-z0-9_]*\)=.*/\1/p'); do
        value=
        eval "value=\${$name-}"
        printf 'export %s=%s\n' "$name" "$(quote "$value")"
    done
    printf 'exec'
    for word in "$@"; do
        printf ' %s' "$(quote "$word")"
    done
    echo
} >"$job/command"

cat >"$job/init" <<END
#!/bin/sh
# The guest's first process. Its output goes to the console.
job=$(quote "$job")
END
cat >>"$job/init" <<'END'
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
LANG=C.UTF-8
export PATH HOME LANG

power_off() {
    # reboot(2): LINUX_REBOOT_MAGIC1, MAGIC2C, CMD_POWER_OFF
    perl -e 'syscall(169, 0xfee1dead, 537993216, 0x4321fedc, 0)'
    exit # causes a panic, which also ends the guest
}

# The machine's files are read-only; changes go to an overlay in memory.
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work /run/root /run/job
cp "$job/command" /run/job/
mount -t overlay overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work /run/root || power_off
mkdir -p /run/root/run /run/root/mnt
mount -t tmpfs tmpfs /run/root/run
cp -r /run/job /run/root/run/job
cd /run/root && pivot_root . mnt && cd / || power_off
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
umount -l /mnt
ip link set lo up
echo guest >/proc/sys/kernel/hostname
# The kernel's default, unless it is configured to be small.
echo 32768 >/proc/sys/kernel/pid_max

# A port can be opened only once; a pipe any number of times.
while :; do
    port=$(ls /dev/vport*p3 2>/dev/null) && break
    sleep 0.1
done
port=${port%3}
mkfifo /run/job/out /run/job/err
cat /run/job/out >"${port}1" &
out=$!
cat /run/job/err >"${port}2" &
err=$!
setsid sh /run/job/command </dev/null >/run/job/out 2>/run/job/err
status=$?
# Processes that COMMAND left behind may hold the pipes open.
(sleep 2; kill $out $err) 2>/dev/null &
wait $out $err
echo $status >"${port}3"
power_off
END
chmod 755 "$job" "$job/init"

mkfifo "$job/out" "$job/err"
: >"$job/status"
# Held open on both sides, so that no open() blocks.
exec 3<>"$job/out" 4<>"$job/err"
cat <"$job/out" 3>&- 4>&- &
out=$!
cat <"$job/err" >&2 3>&- 4>&- &
err=$!

timeout "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu "$cpu" -smp "$cpus" -m "$memory" \
    -display none -monitor none -no-reboot -nodefaults -kernel "$kernel/bzImage" \
    -virtfs local,path=/,mount_tag=root,security_model=none,multidevs=remap,readonly=on \
    -device virtio-rng-pci -serial "file:$job/console" -device virtio-serial-pci \
    -chardev "file,id=out,path=$job/out" -device virtserialport,chardev=out,nr=1 \
    -chardev "file,id=err,path=$job/err" -device virtserialport,chardev=err,nr=2 \
    -chardev "file,id=status,path=$job/status" -device virtserialport,chardev=status,nr=3 \
    -append "console=ttyS0 root=root rootfstype=9p \
rootflags=trans=virtio,version=9p2000.L,msize=262144,cache=loose ro init=$job/init quiet panic=-1" \
    </dev/null >"$job/emulator" 2>&1 3>&- 4>&- &
emulator=$!
ended=0
wait "$emulator" || ended=$?
emulator=
exec 3>&- 4>&-
wait "$out" "$err"

status=$(cat "$job/status")
if [ -n "$status" ]; then
    exit "$status"
fi
if [ "$ended" = 124 ]; then
    echo "boot.sh: killed after $seconds s" >&2
    exit 124
fi
echo "boot.sh: the guest ended without a result (QEMU's exit status $ended)" >&2
cat "$job/emulator" >&2
[ ! -f "$job/console" ] || tail -n 30 "$job/console" | tr -d '\r' >&2
exit 125
