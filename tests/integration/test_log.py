# SPDX-License-Identifier: MIT
"""The log: one line per call, complete, true, and machine-readable."""
import json
import os
import signal
import subprocess
import threading
import time

import harness
import procs
from session import Session

KEYS = {"time", "tid", "comm", "level", "flags", "exit_signal", "pids", "result", "us"}

# Makes itself the leader of a session or a group, leaves a member and ends.
LEADER = """
import os, subprocess, sys
os.setsid() if sys.argv[1] == "-s" else os.setpgid(0, 0)
print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)
"""


class Json(harness.Case):
    def records(self, name="log"):
        return [json.loads(line) for line in self.read(name).splitlines()]

    def logged(self, *call, options=(), name="log"):
        """The records of one run of clone2-call, and its own output."""
        result = harness.supervise("--log", self.path(name), "--log-format", "json", *options, "--",
                                   harness.CALL, *call)
        return self.records(name), harness.calls(result.out)

    def one(self, *call, **kw):
        records, printed = self.logged(*call, **kw)
        self.assertEqual((len(records), len(printed)), (1, 1), records)
        return records[0], printed[0]

    def test_success(self):
        record, _ = self.one("7000")
        self.assertLessEqual(KEYS, set(record))
        self.assertEqual(record["comm"], "clone2-call")
        self.assertEqual(record["pids"], [7000])
        self.assertEqual(record["result"], 7000)
        self.assertEqual(record["flags"], [])
        self.assertIn(record["exit_signal"], (17, "SIGCHLD"))
        self.assertGreater(record["us"], 0)
        self.assertGreater(record["tid"], 0)
        self.assertIsInstance(record["level"], int)
        for key in ("error", "why"):
            self.assertFalse(record.get(key), record)

    def test_time_is_now(self):
        record, _ = self.one("7000")
        value = record["time"]
        if isinstance(value, str):
            from datetime import datetime
            value = datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        self.assertLess(abs(value - time.time()), 3600)

    def test_plain_clone(self):
        record, printed = self.one()
        self.assertEqual(record["pids"], [])
        self.assertEqual(record["result"], printed)

    def test_flags_by_name(self):
        record, _ = self.one("-f", "0x2011", "7000")  # CLONE_PTRACE: ignored if untraced
        self.assertEqual(record["flags"], ["CLONE_PTRACE"])
        record, _ = self.one("-f", hex(0x20000000 | 0x08000000 | 17), "7000", name="log2")
        self.assertEqual(sorted(record["flags"]), ["CLONE_NEWIPC", "CLONE_NEWPID"])

    def test_unknown_flags(self):
        record, _ = self.one("-f", hex(1 << 40 | 17))
        self.assertEqual((record["result"], record["error"]), (-22, "EINVAL"))
        self.assertEqual(len(record["flags"]), 1)
        self.assertIn("10000000000", record["flags"][0])
        self.assertEqual(record["why"], "unknown upper flags: 0x10000000000")

    def test_busy(self):
        record, printed = self.one("1")
        self.assertEqual(printed, "EBUSY")
        self.assertEqual((record["result"], record["error"]), (-16, "EBUSY"))
        init = procs.get(1).comm
        self.assertEqual(record["why"], f"pid 1 at level {record['level']} is in use, "
                                        f"now by process 1 \"{init}\"")

    def test_busy_by_what(self):
        """Each thing that can hold a pid is named as what it is."""
        level = self.one("7000")[0]["level"]
        def why(pid):
            record, printed = self.one(str(pid), name=f"log{pid}")
            self.assertEqual(printed, "EBUSY")
            return record["why"].split(f"pid {pid} at level {level} is in use, now by ")[1]
        zombie = os.posix_spawn("/bin/true", ["true"], {})
        os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
        self.addCleanup(os.waitpid, zombie, 0)
        self.assertEqual(why(zombie), f'zombie {zombie} "true"')
        held = threading.Event()
        thread = threading.Thread(target=held.wait)
        thread.start()
        try:
            self.assertEqual(why(thread.native_id), f"thread {thread.native_id} of process "
                             f'{os.getpid()} "{procs.get(os.getpid()).comm}"')
        finally:
            held.set()
            thread.join()
        for flag, what in (("-s", "session"), ("-g", "process group")):
            # Its first process has ended; another one is still in it.
            shell = self.start(harness.PYTHON, "-c", LEADER, flag, stdout=subprocess.PIPE)
            member = int(shell.stdout.readline())
            self.finish(shell)
            self.assertEqual(why(shell.pid), f'the {what} of process {member} "sleep"')
            os.kill(member, signal.SIGKILL)

    def test_busy_in_a_nested_namespace(self):
        record, printed = self.one("1", "0", options=["--pidns"])
        self.assertEqual(printed, "EBUSY")
        self.assertIn(f"pid 1 at level {record['level'] - 1} is in use, now by process 1 ",
                      record["why"])
        # PROGRAM may run before the reaper has its name.
        script = 'until grep -q clone2-reap /proc/1/comm; do sleep 0.1; done; exec "$0" 0 1'
        result = harness.supervise("--log", self.path("log2"), "--log-format=json", "--pidns",
                                   "--", "sh", "-c", script, harness.CALL)
        self.assertEqual(harness.calls(result.out), ["EBUSY"])
        record, = self.records("log2")
        # Named by its pid here, where the log is read.
        self.assertRegex(record["why"], rf"pid 1 at level {record['level']} is in use, now by "
                                        r'process [1-9]\d+ "clone2-reap"')

    def test_pid_out_of_range(self):
        for pid in ("-5", "2147483647"):
            record, _ = self.one("--", pid, name=f"log{pid}")
            self.assertEqual(record["error"], "EINVAL")
            self.assertEqual(record["pids"], [int(pid)])
            with open("/proc/sys/kernel/pid_max") as f:
                highest = int(f.read()) - 1
            self.assertEqual(record["why"], f"pid {pid} at level {record['level']} is out of range "
                                            f"(1..{highest})")

    def test_pid_max_of_each_namespace(self):
        # Since 6.14 each has its own: one pid is not judged by another namespace's.
        self.need("pidns-pid-max", procs.own_pid_max(), "one pid_max for all (Linux 6.14)")
        def set_pid_max(text):
            with open("/proc/sys/kernel/pid_max", "w") as f:
                f.write(text)

        with open("/proc/sys/kernel/pid_max") as f:
            self.addCleanup(set_pid_max, f.read())
        set_pid_max("5000")
        record, _ = self.one("-f", hex(0x800 | 17), "6000", options=["--pidns"], name="flags")
        self.assertEqual(record["why"], "CLONE_SIGHAND needs CLONE_VM")
        record, _ = self.one("6000", "6001", options=["--pidns"], name="outer")
        self.assertEqual(record["why"], f"pid 6000 at level {record['level'] - 1} is out of range "
                                        "(1..4999)")
        record, _ = self.one("4000", "400", options=["--pidns", "--pid-max=400"], name="inner")
        self.assertIn("pid_max: the highest that was asked for is 4000", record["why"])

    def test_flags_that_exclude_each_other(self):
        record, printed = self.one("-f", hex(0x10000 | 0x100), "7000")
        self.assertEqual(printed, "EINVAL")
        self.assertEqual(record["why"], "CLONE_THREAD needs CLONE_SIGHAND")

    def test_too_many_pids(self):
        record, _ = self.one(*[str(7000 + i) for i in range(40)])
        self.assertEqual(record["error"], "EINVAL")
        self.assertIn("40", record["why"])

    def test_unreadable_arguments(self):
        record, _ = self.one("-a")
        self.assertEqual((record["result"], record["error"]), (-14, "EFAULT"))
        self.assertEqual(record["why"], "clone_struct unreadable: 40 bytes at 0x8")

    def test_without_privilege(self):
        self.need_root()
        self.need_command("setpriv")
        call = self.public_copy(harness.CALL)
        result = harness.supervise("--log", self.path("log"), "--log-format=json", "--", "setpriv",
                                   f"--reuid={harness.NOBODY}", "--clear-groups", call, "7000")
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)
        record, = self.records()
        self.assertEqual((record["result"], record["error"]), (-1, "EPERM"))
        self.assertIn("CAP_", record["why"])

    def test_every_call_is_logged(self):
        # Even the last one, when the command ends with it.
        for _ in range(20):
            records, printed = self.logged("-e", "-r", "5")
            self.assertEqual([r["result"] for r in records], printed)
            os.unlink(self.path("log"))

    def test_many_calls_of_many_targets(self):
        script = 'for i in 1 2 3 4; do "$0" -q -r 200 & done; wait'
        harness.supervise("--log", self.path("log"), "--log-format=json", "--", "sh", "-c", script,
                          harness.CALL)
        records = self.records()
        self.assertEqual(len(records), 800)
        self.assertEqual(len({r["tid"] for r in records}), 4)

    def test_levels(self):
        record, _ = self.one("7000")
        deeper, _ = self.one("7000", options=("--pidns=3",), name="log2")
        self.assertEqual(deeper["level"], record["level"] + 3)

    def test_name_with_special_characters(self):
        for number, name in enumerate(('a"b', "a\\b", "a\nb", "\x1b[31m", "a\tb", "{}", "ü", "a b",
                                       b"\xff\xfe")):
            with self.subTest(name=name):
                text = name if isinstance(name, bytes) else name.encode()
                harness.supervise("--log", self.path(f"l{number}"), "--log-format=json", "--",
                                  harness.CALL, "-q", "-c", os.fsdecode(text), "7000")
                record, = self.records(f"l{number}")  # valid JSON in valid UTF-8, one line
                if not isinstance(name, bytes):
                    self.assertEqual(record["comm"], name)

    def test_file_is_valid_utf8(self):
        harness.supervise("--log", self.path("log"), "--log-format=json", "--", harness.CALL, "-q",
                          "-c", os.fsdecode(b"\xff\xc3("), "7000")
        with open(self.path("log"), "rb") as f:
            json.loads(f.read().decode("utf-8"))

    def test_appended(self):
        for count in (1, 2, 3):
            records, _ = self.logged("7000")
            self.assertEqual(len(records), count)

    def test_two_wrappers_one_file(self):
        children = [self.start(harness.SUPERVISE, "--log", self.path("log"), "--log-format=json",
                               "--", harness.CALL, "-q", "-r", "300") for _ in range(3)]
        for child in children:
            self.assertEqual(self.finish(child), 0)
        self.assertEqual(len(self.records()), 900)

    def test_to_stderr(self):
        result = harness.supervise("--log", "-", "--log-format=json", "--", harness.CALL, "7000")
        self.assertEqual(json.loads(result.err)["result"], 7000)
        self.assertEqual(harness.calls(result.out), [7000])

    def test_leftovers_are_logged(self):
        harness.supervise("--log", self.path("log"), "--log-format=json", "--", "sh", "-c",
                          f"{harness.CALL} -q -r 50 -i 10 >/dev/null 2>&1 &")
        self.wait(lambda: not procs.named(procs.SERVE), "the leftovers' end")
        self.assertEqual(len(self.records()), 50)


class Text(harness.Case):
    def line(self, *call):
        harness.supervise("--log", self.path("log"), "--", harness.CALL, "-q", *call)
        lines = self.read("log").splitlines()
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def test_success(self):
        line = self.line("-f", "0x20000011", "7000")
        for word in ("clone2-call", "CLONE_NEWPID", "7000"):
            self.assertIn(word, line)

    def test_failure(self):
        line = self.line("1")
        self.assertIn("EBUSY", line)

    def test_control_characters(self):
        line = self.line("-c", "a\nb\x1b[1m", "7000")
        self.assertTrue(line.isprintable(), repr(line))


class Messages(harness.Case):
    """A thread may choose any 15 bytes as its name; stderr belongs to root and the journal."""
    NAME = os.fsdecode(b'\nx) ok\x1b[2J\x9b"\xff')

    def printable(self, err):
        self.assertIn("x) ok", err)
        for line in err.splitlines():
            self.assertRegex(line, r"\Aclone2-supervise: [ -~]*\Z")
        self.assertEqual(err.count("\n"), len(err.splitlines()), repr(err))

    def test_a_name_in_verbose_output(self):
        self.printable(harness.supervise("-v", "--", harness.CALL, "-c", self.NAME, "7000").err)

    def test_a_name_in_a_warning(self):
        # A traced caller is refused, and stderr says whose call it was.
        self.need_command("strace")
        result = harness.supervise("--", "strace", "-f", "-o", self.path("trace"), harness.CALL,
                                   "-c", self.NAME, "7000")
        self.assertIn("refused", result.err)
        self.printable(result.err)


class Unread(harness.Case):
    """Nothing reads the log, or stderr: no call waits for it."""

    def full_fifo(self, name="fifo"):
        """A full FIFO, and the end to read it from."""
        os.mkfifo(self.path(name))
        reader = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        writer = os.open(self.path(name), os.O_WRONLY | os.O_NONBLOCK)
        self.fill(writer)
        os.close(writer)
        return reader

    def fill(self, writer):
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)

    def test_calls_continue(self):
        reader = self.full_fifo()
        session = Session(self, "--log", self.path("fifo"), "--log-format=json")
        for _ in range(3):
            self.assertEqual(session.call("-r 20 7000"), [7000] * 20)
        # When it is finally read, all lines are there, in order.
        text = b""

        def lines():
            nonlocal text
            try:
                text += os.read(reader, 65536)
            except BlockingIOError:
                pass
            return text.lstrip(b"x").splitlines() if text.count(b"\n") == 60 else None
        records = [json.loads(line) for line in self.wait(lines, "60 lines")]
        self.assertEqual([r["result"] for r in records], [7000] * 60)
        self.assertEqual(sorted(records, key=lambda r: r["time"]), records)
        self.assertEqual(session.end(), 0)

    def test_the_command_ends(self):
        self.full_fifo()
        self.expect(harness.supervise("--log", self.path("fifo"), "--", harness.CALL, "-r", "20",
                                      "7000"), 0)

    def test_stderr(self):
        # Messages, the log and the statistics: none of them can be written.
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.fill(write)
        out = open(self.path("out"), "w")
        child = subprocess.Popen(
            [harness.SUPERVISE, "-v", "--log", "-", "--stats", "--", "sh", "-c",
             f'"$0" -r 20 7000 2>/dev/null; echo end', harness.CALL],
            stdin=subprocess.DEVNULL, stdout=out, stderr=write)
        os.close(write)
        self.assertEqual(self.finish(child), 0)
        self.assertEqual(harness.calls(self.read("out")), [7000] * 20)
        self.assertIn("end", self.read("out"))

    def test_fifo_without_a_reader(self):
        # Opening it does not wait; a later reader finds what its buffer holds.
        os.mkfifo(self.path("fifo"))
        session = Session(self, "--log", self.path("fifo"), "--log-format=json")
        self.assertEqual(session.call("-r 3 7000"), [7000] * 3)
        with open(self.path("fifo")) as reader:
            for _ in range(3):
                self.assertEqual(json.loads(reader.readline())["result"], 7000)
        self.assertEqual(session.end(), 0)


class Rotation(harness.Case):
    def expect_lines(self, name, *pids):
        """A call does not wait long for its line."""
        def lines():
            return [json.loads(line)["pids"] for line in self.read(name).splitlines()]
        self.wait(lambda: self.read(name).count("\n") >= len(pids), f"the lines in {name}")
        self.assertEqual(lines(), [[pid] for pid in pids])

    def rotate(self, pid):
        """As logrotate does: rename, then SIGHUP."""
        os.rename(self.path("log"), self.path("log.1"))
        os.kill(pid, signal.SIGHUP)
        self.wait(lambda: os.path.exists(self.path("log")), "the new file")

    def rotated(self, pid_of):
        # The log's name is relative to the directory in which the command was started.
        back = os.getcwd()
        os.chdir(self.tmp)
        self.addCleanup(os.chdir, back)
        session = Session(self, "--log", "log", "--log-format=json")
        session.ask(f"trap 'touch {self.path('hup')}' HUP; echo")
        self.assertEqual(session.call("7001"), [7001])
        self.rotate(pid_of(session))
        self.assertEqual(session.call("7002"), [7002])
        self.expect_lines("log.1", 7001)
        self.expect_lines("log", 7002)
        return session

    def test_sighup_to_the_command(self):
        # PROGRAM gets it, too.
        session = self.rotated(lambda session: session.child.pid)
        # A shell that waits for its next command runs no trap.
        self.wait(lambda: session.ask("echo up") and os.path.exists(self.path("hup")),
                  "PROGRAM's signal")
        self.assertEqual(session.end(), 0)

    def test_sighup_to_the_serving_process(self):
        session = self.rotated(lambda session: procs.named(procs.SERVE)[0].pid)
        self.assertEqual(session.end(), 0)
        self.assertFalse(os.path.exists(self.path("hup")))

    def test_new_file_cannot_be_opened(self):
        # The old file stays in use.
        os.mkdir(self.path("logs"))
        session = Session(self, "--log", self.path("logs/log"), "--log-format=json")
        self.assertEqual(session.call("7001"), [7001])
        os.rename(self.path("logs"), self.path("old"))
        server, = procs.named(procs.SERVE)
        os.kill(server.pid, signal.SIGHUP)
        self.wait(lambda: "can't be opened again" in self.read("session.err"), "the message")
        self.assertEqual(session.call("7002"), [7002])
        self.expect_lines("old/log", 7001, 7002)
        self.assertEqual(session.end(), 0)


class Trouble(harness.Case):
    def test_full_disk(self):
        # The log is lost, and this is reported once; the calls are not.
        self.need("dev-full", os.path.exists("/dev/full"))
        result = harness.supervise("--log", "/dev/full", "--", harness.CALL, "-r", "20", "7000")
        self.assertEqual(harness.calls(result.out), [7000] * 20, result)
        self.assertEqual(result.status, 0)
        self.assertIn("No space left", result.err)
        self.assertEqual(result.err.count("\n"), 1, result)

    def test_pipe_whose_reader_is_gone(self):
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        child = subprocess.Popen([harness.SUPERVISE, "--log", self.path("fifo"), "--", "sh", "-c",
                                  'read x; exec "$0" -r 20 7000', harness.CALL], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        self.wait(lambda: procs.named("sh"), "PROGRAM")
        os.close(reader)
        out, err = child.communicate("\n", timeout=harness.RUN_SECONDS)
        self.assertEqual(harness.calls(out), [7000] * 20, err)
        self.assertEqual(child.returncode, 0)
        self.assertEqual(err.count("Broken pipe"), 1, err)

    def test_slow_reader_of_stderr(self):
        # Nothing reads the log for a while: when it is read, all lines are there.
        child = subprocess.Popen([harness.SUPERVISE, "--log", "-", "--", harness.CALL, "-q", "-r",
                                  "1500"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 text=True)
        time.sleep(1)
        _, err = child.communicate(timeout=harness.RUN_SECONDS)
        self.assertEqual(len(err.splitlines()), 1500)
        self.assertEqual(child.returncode, 0)

    def test_stderr_that_program_makes_non_blocking(self):
        # Nothing reads the log until there is more of it than the pipe takes.
        make_so = "import os, sys; os.set_blocking(2, False); os.execvp(sys.argv[1], sys.argv[1:])"
        child = subprocess.Popen([harness.SUPERVISE, "--log", "-", "--", harness.PYTHON, "-c",
                                  make_so, "sh", "-c", '"$0" -q -r 1500; echo made',
                                  harness.CALL], stdin=subprocess.DEVNULL, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), "made\n")
        _, err = child.communicate(timeout=harness.RUN_SECONDS)
        self.assertEqual(len(err.splitlines()), 1500)
        self.assertEqual(child.returncode, 0)

    def test_file_size_limit(self):
        # SIGXFSZ must not kill the serving process.
        result = harness.run(["prlimit", "--fsize=1000", harness.SUPERVISE, "--log",
                              self.path("log"), "--", harness.CALL, "-r", "50", "7000"])
        self.assertEqual(harness.calls(result.out), [7000] * 50, result)
        self.assertLessEqual(os.path.getsize(self.path("log")), 1000)

    def test_log_is_not_the_programs(self):
        # PROGRAM can't find the log among its descriptors.
        log = self.path("log")
        result = harness.supervise("--log", log, "--", "sh", "-c", "ls -l /proc/self/fd")
        self.assertNotIn(log, result.out)

    def test_killed_while_logging(self):
        # Every line in the file is complete.
        for _ in range(10):
            child = self.start(harness.SUPERVISE, "--log", self.path("log"), "--log-format=json",
                               "--", harness.CALL, "-q", "-r", "0")
            self.wait(lambda: len(self.read("log")) > 2000, "some lines")
            for p in procs.named(procs.SERVE):
                os.kill(p.pid, signal.SIGKILL)
            child.terminate()
            self.finish(child)
            self.wait(lambda: not procs.named(procs.SERVE), "the end of its threads, which write")
            text = self.read("log")
            self.assertTrue(text.endswith("\n"))
            for line in text.splitlines():
                json.loads(line)
            os.unlink(self.path("log"))


if __name__ == "__main__":
    harness.main()
