# SPDX-License-Identifier: MIT
"""A thread executes a program while the leader is in the middle of its clone2: the leader's tid
passes to the new program, and nothing meant for the old program may reach it."""
import os
import subprocess

import harness
import procs
import tracing
from session import server

EXEC_IN_CALL = harness._path("CLONE2_EXEC_IN_CALL", "tests/integration/clone2-exec-in-call")
PTRACE, POKEDATA = 101, 5
AREA_SIZE = 256 * 1024


class Exec(harness.Case):
    def test_nothing_is_written_to_the_new_program(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        child = subprocess.Popen([harness.SUPERVISE, "--", EXEC_IN_CALL, "call", fifo], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(child.stdout.close)
        self.assertEqual(child.stdout.readline(), "0\n")
        self.assertEqual(child.stdout.readline(), "ready\n")
        target = procs.named("clone2-exec-in-")[0].pid
        area = self.area(target)
        serving = server(self)
        # The call has been answered and the slot is about to be written ...
        held = tracing.Before(serving, PTRACE, first=POKEDATA)
        child.stdin.write("\n")
        child.stdin.flush()
        self.wait(held.reached, "the write to the slot")
        self.assertEqual(procs.get(target).state, "t")
        # ... when the second thread executes a program that has its own memory at that address.
        with open(fifo, "w") as order:
            order.write(f"{area:x}\n")
        self.assertEqual(child.stdout.readline(), "mapped\n")
        held.finish_call()
        held.let_go()
        self.wait(lambda: tracing.threads_in(serving, PTRACE) == 0, "the end of that")
        child.stdin.write("\n")
        child.stdin.close()
        self.assertEqual(child.stdout.readline(), "clean\n")
        self.assertEqual(self.finish(child), 0)

    def area(self, pid):
        with open(f"/proc/{pid}/maps") as maps:
            for line in maps:
                begin, end = (int(word, 16) for word in line.split()[0].split("-"))
                if end - begin == AREA_SIZE and " rw-p 00000000 00:00 0" in line:
                    return begin
        self.fail("the target has no area")


if __name__ == "__main__":
    harness.main()
