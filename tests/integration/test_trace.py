# SPDX-License-Identifier: MIT
"""-vv: each stage of each call is a line on stderr."""
import os
import re
import subprocess

import harness
import procs
import tracing
from session import server

IOCTL, NOTIF_SEND = 16, 0xc0182101

LINE = re.compile(r'clone2-supervise: (\d+) "([^"]*)" \+(\d+) us ([a-z]+): (.*)')

BOOT = ["received", "read", "planned", "slot", "answered", "redirected"]
BOOTED = ["received", "read", "reported", "planned", "slot", "answered"]
CALL = ["received", "read", "planned", "slot", "answered", "redirected"]
REPORT = ["received", "read", "reported", "answered"]


def stages(text):
    """(tid, comm, microseconds, stage, text) of each line."""
    return [(int(tid), comm, int(us), stage, what)
            for tid, comm, us, stage, what in LINE.findall(text)]


class Trace(harness.Case):
    def traced(self, *call, options=("-vv",), status=0):
        result = self.expect(harness.supervise(*options, "--", harness.CALL, *call), status)
        self.assertNotIn("clone2-supervise:", result.out, result)
        return stages(result.err), result

    def test_a_first_call_and_a_second_one(self):
        lines, result = self.traced("-r", "2", "7000")
        self.assertEqual([stage for _, _, _, stage, _ in lines], BOOT + BOOTED + CALL, result)
        tids = {tid for tid, _, _, _, _ in lines}
        self.assertEqual((len(tids), {comm for _, comm, _, _, _ in lines}), (1, {"clone2-call"}))
        texts = [(stage, what) for _, _, _, stage, what in lines]
        self.assertIn("system call 387 from 0x", texts[0][1])
        self.assertIn("program call (SIGCHLD, {7000})", texts[1][1])
        self.assertEqual(texts[2][1], "clone3(SIGCHLD, set_tid {7000})")
        self.assertIn("boot slot at 0x", texts[3][1])
        self.assertEqual(texts[4][1], "ENOSYS")
        self.assertIn("boot report", texts[7][1])
        self.assertIn("area at 0x", texts[8][1])
        self.assertRegex(texts[10][1], r"\A\d+ at 0x")
        # The boot report is answered with the slot's address.
        self.assertEqual(texts[11][1], texts[10][1].split()[-1])

    def test_time_since_the_call_was_received(self):
        lines, result = self.traced("-r", "2", "7000")
        for before, line in zip(lines, lines[1:]):
            if line[3] != "received":
                self.assertGreaterEqual(line[2], before[2], result)

    def test_a_report(self):
        lines, result = self.traced("7000", options=("-vv", "--log", self.path("log")))
        self.assertEqual([stage for _, _, _, stage, _ in lines], BOOT + BOOTED + REPORT, result)
        self.assertEqual(lines[-2][4], "clone3 = 7000")

    def test_a_failure_is_reported(self):
        lines, result = self.traced("1", status=1)
        self.assertEqual([(stage, what) for _, _, _, stage, what in lines[-2:]],
                         [("reported", "clone3 = EEXIST"), ("answered", "EBUSY")], result)

    def test_a_refusal(self):
        lines, result = self.traced(*["1"] * 40, status=1)
        self.assertEqual([stage for _, _, _, stage, _ in lines],
                         ["received", "read", "planned", "refused", "answered"], result)
        self.assertEqual((lines[2][4], lines[4][4]), ("EINVAL", "EINVAL"))
        lines, result = self.traced("-a", "7000", status=1)
        self.assertEqual([stage for _, _, _, stage, _ in lines],
                         ["received", "read", "refused", "answered"], result)
        self.assertEqual([what for _, _, _, stage, what in lines if stage in ("read", "refused")],
                         ["program call, no struct readable at 0x8",
                          "EFAULT (clone_struct unreadable: 40 bytes at 0x8)"])

    def test_the_last_line_is_not_lost(self):
        child = subprocess.Popen(
            [harness.SUPERVISE, "-vv", "--", "sh", "-c", 'echo; read _; exec "$0" -a 7000',
             harness.CALL], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), "\n")
        serving = server(self)
        held = tracing.Before(serving, IOCTL, second=NOTIF_SEND)
        child.stdin.write("\n")
        child.stdin.flush()
        self.wait(held.reached, "the answer")
        held.let_go_others()
        held.finish_call()
        # PROGRAM has its answer, and ends; the line that says so has not been written yet.
        self.wait(lambda: not procs.named("clone2-call"), "the end of PROGRAM")
        stderr = f"/proc/{serving}/fd/2"
        procs.wait_for(lambda: "pipe:" not in os.readlink(stderr), 1)
        held.let_go()
        lines = stages(child.stderr.read())
        self.assertEqual([stage for _, _, _, stage, _ in lines],
                         ["received", "read", "refused", "answered"])
        self.assertEqual(self.finish(child), 1)

    def test_not_with_v_alone(self):
        for options in (("-v",), ("-vv", "-q"), ()):
            with self.subTest(options=options):
                lines, _ = self.traced("7000", options=options)
                self.assertEqual(lines, [])

    def test_a_name_can_make_no_line(self):
        lines, result = self.traced("-c", 'a"\nb', "7000")
        self.assertEqual({comm for _, comm, _, _, _ in lines}, {r"a\x22\x0ab"}, result)

    def test_nobody_reads(self):
        # The pipe is full before the first line, and has no reader: no call waits for one.
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, b"x" * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(writing, True)
        child = subprocess.Popen([harness.SUPERVISE, "-vv", "--", harness.CALL, "-r", "50", "7000"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writing,
                                 text=True)
        os.close(writing)
        out, _ = child.communicate(timeout=harness.RUN_SECONDS)
        self.assertEqual((child.returncode, harness.calls(out)), (0, [7000] * 50))


if __name__ == "__main__":
    harness.main()
