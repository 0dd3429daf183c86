# SPDX-License-Identifier: MIT
"""Programs that make calls of two architectures, or from a code segment of the other width."""
import os
import subprocess

import harness

MIXED = harness._path("CLONE2_MIXED_CALLS", "tests/integration/clone2-mixed-calls")
OTHER_WIDTH = "the call comes from a code segment of another width than the program's"
HERE = os.path.dirname(os.path.abspath(__file__))


class Mixed(harness.Case):
    def served(self, *arguments):
        run = harness.supervise("--", MIXED, *arguments)
        self.expect(run, 0, out="ok\n")
        return run

    def test_by_turns(self):
        self.served("turns")

    def test_from_two_threads(self):
        for _ in range(5):
            self.served("threads")

    def test_32_bit_code_segment_of_a_64_bit_program(self):
        self.assertIn(OTHER_WIDTH, self.served("segment").err)

    def test_64_bit_code_segment_of_a_32_bit_program(self):
        self.need_command("i686-linux-gnu-gcc")
        program = self.path("program")
        subprocess.run(["i686-linux-gnu-gcc", "-O1", "-static", "-no-pie", "-fno-pic", "-I",
                        f"{HERE}/../../shim", "-o", program,
                        f"{HERE}/targets/arch/i386/segment_calls.c"], check=True)
        run = harness.supervise("--", program)
        self.expect(run, 0, out="syscall: -38\nint $0x80: -38\nusual: 7000, 5\n")
        self.assertEqual(run.err.count(OTHER_WIDTH), 2, run)


if __name__ == "__main__":
    harness.main()
