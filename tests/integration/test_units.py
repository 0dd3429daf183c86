# SPDX-License-Identifier: MIT
"""The wrapper as a systemd service: a systemd of its own, booted over a throw-away copy of the root
file system."""
import os
import subprocess
import sys

import harness

SYSTEMD = "/lib/systemd/systemd"
UNITS = "/run/systemd/system"

# Nothing that the booted system writes reaches the host, except what units write to /out.
BOOT = f"""set -e
cd "$1"
mount -t tmpfs none overlay
mkdir overlay/upper overlay/work overlay/root
mount -t overlay none -o lowerdir=/,upperdir=overlay/upper,workdir=overlay/work overlay/root
cd overlay/root
mount -t proc none proc
mount -t sysfs -o ro none sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs none dev
for node in null zero full random urandom tty; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
done
mount -t tmpfs none run
mount -t tmpfs none tmp
mkdir -p out build .{UNITS}
mount --bind "$1/out" out
mount --bind "$2" build
cp "$1"/units/* .{UNITS}
: >etc/machine-id
exec env -i container=clone2 PATH="$PATH" chroot . {SYSTEMD} --unit=test.target --log-target=null \\
    --show-status=no
"""


class Units(harness.Case):
    def setUp(self):
        super().setUp()
        self.need_root()
        self.need_file("systemd", SYSTEMD)
        for name in ("overlay", "out", "units"):
            os.mkdir(self.path(name))
        for name in ("out", "units"):
            os.chmod(self.path(name), 0o777)

    def unit(self, name, text):
        with open(os.path.join(self.path("units"), name), "w") as file:
            file.write(text)

    def service(self, name, program, *lines, options=""):
        """A service whose main process is the wrapper, with a Python program."""
        with open(self.path(f"out/{name}.py"), "w") as file:
            file.write(PRELUDE + program)
        self.unit(name + ".service", "\n".join([
            "[Unit]", "DefaultDependencies=no", "[Service]",
            f"ExecStart=/build/clone2-supervise {options} -- {sys.executable} -S /out/{name}.py",
            *lines, ""]))

    def boot(self, *wanted):
        self.unit("test.target", "[Unit]\nDefaultDependencies=no\n" +
                  "".join(f"Wants={unit}\n" for unit in wanted))
        self.start("unshare", "--pid", "--fork", "--kill-child", "--mount", "--cgroup", "sh", "-c",
                   BOOT, "sh", self.tmp, os.path.dirname(harness.SUPERVISE),
                   stderr=subprocess.DEVNULL)

    def result(self, name):
        self.wait(lambda: self.read(f"out/{name}").endswith("\n"), f"a result of {name}")
        return self.read(f"out/{name}").rstrip("\n")

    def test_ready(self):
        # systemd starts the commands after ExecStart= once PROGRAM has said that it is ready.
        self.service("notify", "notify('READY=1'); time.sleep(1000)", "Type=notify",
                     "NotifyAccess=all", "TimeoutStartSec=infinity",
                     "ExecStartPost=/bin/sh -c 'cat /proc/$MAINPID/comm >/out/ready'")
        self.boot("notify.service")
        self.assertEqual(self.result("ready"), "clone2-supervis")

    def test_socket_activation(self):
        self.unit("active.socket", "[Unit]\nDefaultDependencies=no\n[Socket]\n"
                                   "ListenStream=/out/socket\n")
        program = "s = socket.socket(fileno=3); s.accept()\n" \
                  "tell(variable('LISTEN_PID'), os.environ['LISTEN_FDS'])"
        for options in ("", "--pidns"):
            with self.subTest(options=options):
                self.service("active", program, options=options)
                self.boot("active.socket")
                # The first connection counts, and the file is there before any is accepted.
                self.wait(lambda: harness.accepts(self.path("out/socket")), "a connection")
                self.assertEqual(self.result("active"), "own 1")
                harness.procs.end_all()
                os.unlink(self.path("out/socket"))
                os.unlink(self.path("out/active"))

    def test_watchdog(self):
        # Its messages come from PROGRAM, its signal goes to the wrapper.
        self.service("dog", "tell(variable('WATCHDOG_PID'), variable('SYSTEMD_EXEC_PID'))\n"
                            "notify('WATCHDOG=trigger'); time.sleep(1000)",
                     "WatchdogSec=1h", "NotifyAccess=all",
                     "ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT $EXIT_STATUS >/out/end'")
        self.boot("dog.service")
        self.assertEqual(self.result("end"), "watchdog ABRT")
        self.assertEqual(self.result("dog"), "own own")


PRELUDE = """
import os, socket, sys, time
def tell(*words):
    with open(sys.argv[0][:-3], "w") as file:
        print(*words, file=file)
def variable(name):
    return "own" if os.environ.get(name) == str(os.getpid()) else os.environ.get(name)
def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
"""


class Environment(harness.Case):
    PROGRAM = "import os; print(*(os.environ.get(n) == str(os.getpid()) or os.environ.get(n) " \
              "for n in ('LISTEN_PID', 'WATCHDOG_PID', 'SYSTEMD_EXEC_PID', 'LISTEN_PIDFDID', " \
              "'NOTIFY_SOCKET')))"

    def variables(self, values, *options):
        """What PROGRAM sees; `$$` in a value is the wrapper's pid."""
        script = f'export {values}; exec "$@"'
        result = harness.run(["sh", "-c", script, "sh", harness.SUPERVISE, *options, "--",
                              harness.PYTHON, "-S", "-c", self.PROGRAM])
        self.expect(result)
        return result.out.strip()

    def test_program_is_named_in_place_of_the_wrapper(self):
        values = "LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ LISTEN_PIDFDID=5 " \
                 "NOTIFY_SOCKET=/n"
        for options in ((), ("--pidns",), ("--pidns=2",)):
            with self.subTest(options=options):
                self.assertEqual(self.variables(values, *options), "True True True None /n")

    def test_other_processes_stay_named(self):
        self.assertEqual(self.variables("LISTEN_PID=1 WATCHDOG_PID=x LISTEN_PIDFDID=5"),
                         "1 x None 5 None")


if __name__ == "__main__":
    harness.main()
