# SPDX-License-Identifier: MIT
"""Wrong options: one clear line and status 125, and PROGRAM does not run."""
import os

import harness

MARK = "sh", "-c", "echo ran"


class Usage(harness.Case):
    def wrong(self, *options, says=None, program=MARK):
        result = harness.supervise(*options, *program)
        self.expect(result, 125)
        self.assertEqual(result.out, "", "PROGRAM ran or the message is on stdout")
        self.assertEqual(result.err.strip().count("\n"), 0, f"not one line: {result}")
        self.assertIn("clone2-supervise:", result.err, result)
        if says:
            self.assertIn(says, result.err, result)

    def test_unknown_option(self):
        self.wrong("--no-such-option", "--", says="no-such-option")
        self.wrong("-Z", "--", says="Z")
        self.wrong("--pidn", "--", says="did you mean --pidns? (see --help)")

    def test_missing_program(self):
        self.wrong(program=())
        self.wrong("--", program=())
        self.wrong("-v", program=())

    def test_missing_argument(self):
        for option in ("-n", "--nr", "--log", "--log-format"):
            with self.subTest(option=option):
                self.wrong(option, program=(), says=option.lstrip("-"))

    def test_bad_numbers(self):
        for text in ("", "x", "12x", "-1", "-387", "0x", "1.5", " ", "99999999999999999999",
                     "4294967683", "2147483648", "500,", "500,500"):
            with self.subTest(nr=text):
                self.wrong("-n", text, "--")
                self.wrong(f"--nr={text}", "--")

    def test_number_of_a_call_that_every_program_needs(self):
        # read, write, execve, exit_group, seccomp: intercepting these could only hang the program.
        for number in (0, 1, 59, 231, 317):
            with self.subTest(nr=number):
                self.wrong("-n", str(number), "--")
                self.wrong("-n", f"387,{number}", "--", says=f"{number} is the system call")

    def test_bad_depth(self):
        for text in ("0", "33", "-1", "x", "", "1x", "99999999999"):
            with self.subTest(depth=text):
                self.wrong(f"--pidns={text}", "--", says="pidns")

    def test_bad_words(self):
        for option in ("--log-format=xml", "--log-format=", "--log-format=JSON ",
                       "--exit-status=129", "--exit-status=", "--event-loop=select",
                       "--event-loop="):
            with self.subTest(option=option):
                self.wrong(option, "--", says=option[2:].split("=")[0])

    def test_flag_with_a_value(self):
        for option in ("--stats=1", "--wait-all=no"):
            with self.subTest(option=option):
                self.wrong(option, "--")

    def test_without_effect(self):
        self.wrong("--log-format=json", "--", says="--log")
        for options in (["--check", "--pidns"], ["--check", "--log-format=json"], ["--check", "-q"],
                        ["-v", "--print-bpf"]):
            with self.subTest(options=options):
                self.wrong(*options, program=(), says="has no effect with")

    def test_log_cannot_be_opened(self):
        for file in ("/no/such/directory/log", self.tmp, "/proc/version/x", ""):
            with self.subTest(file=file):
                self.wrong("--log", file, "--", says=file or "log")

    def test_unknown_feature(self):
        self.wrong("--check=nosuch", program=(), says="nosuch")
        self.wrong("--check", "nosuch", program=(), says="nosuch")

    def test_the_line_is_printable(self):
        result = harness.supervise("--x\n\x1b[31my")
        self.expect(result, 125)
        self.assertNotIn("\x1b", result.err)
        self.assertEqual(result.err.strip().count("\n"), 0, result)


    def test_a_depth_that_is_not_attached(self):
        result = self.expect(harness.supervise("--pidns", "3", *MARK), 127)
        self.assertIn("write --pidns=3", result.err, result)


class Informing(harness.Case):
    def test_help(self):
        result = self.expect(harness.supervise("--help"))
        self.assertEqual(result.err, "")
        for option in ("-n, --nr", "--pidns", "--log", "--log-format", "-v", "-q", "--stats",
                       "--check", "--help", "--version", "--exit-status", "--wait-all",
                       "--event-loop", "125", "126", "127"):
            self.assertIn(option, result.out)
        self.assertLessEqual(max(map(len, result.out.splitlines())), 100)

    def test_version(self):
        result = self.expect(harness.supervise("--version"))
        self.assertRegex(result.out, r"\Aclone2-supervise \d+\.\d+")
        self.assertEqual(result.err, "")

    def test_informing_wins_over_program(self):
        result = self.expect(harness.supervise("--version", "--", *MARK))
        self.assertNotIn("ran", result.out)

    def test_help_to_a_full_disk_fails(self):
        self.need("dev-full", os.path.exists("/dev/full"))
        with open("/dev/full", "w") as full:
            for option in ("--help", "--version"):
                self.expect(harness.supervise(option, stdout=full), 125,
                            err="stdout: No space left on device\n")


class Accepted(harness.Case):
    """Valid forms: each runs PROGRAM."""

    def test_forms(self):
        log = self.path("log")
        for options in (["-n", "500"], ["-n500"], ["--nr=500"], ["--nr", "500"], ["-q"], ["-v"],
                        ["--log", log], [f"--log={log}"], ["--log", log, "--log-format", "json"],
                        ["--exit-status=128"], ["--exit-status=signal"],
                        ["--wait-all"], ["--event-loop=auto"], ["--pidns"], ["--pidns=2"],
                        ["--stats"]):
            with self.subTest(options=options):
                result = harness.supervise(*options, "--", *MARK)
                self.expect(result)
                self.assertEqual(result.out, "ran\n", result)

    def test_other_number(self):
        result = harness.supervise("-n", "500", "--", harness.CALL, "-n", "500", "12000")
        self.assertEqual(harness.calls(result.out), [12000], result)
        result = harness.supervise("-n", "500", "--", harness.CALL, "12000")
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)

    def test_several_numbers(self):
        for nr, want in (("387", 12000), ("500", 12000), ("501", "ENOSYS")):
            with self.subTest(nr=nr):
                result = harness.supervise("-n", "500,387", "--", harness.CALL, "-n", nr, "12000")
                self.assertEqual(harness.calls(result.out), [want], result)


if __name__ == "__main__":
    harness.main()
