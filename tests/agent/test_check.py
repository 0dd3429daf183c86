# SPDX-License-Identifier: MIT
"""--check and --print-bpf: what may stop a call on its way to the agent."""
import base64
import ctypes
import errno
import os
import pty
import struct

import agents
import harness
from agents import Agent, libc

RET_ERRNO, RET_KILL, RET_ALLOW = 0x00050000, 0x80000000, 0x7fff0000


def filtered(number, action):
    """For a child before exec: a filter gives this call this answer."""
    def install():
        steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, action),
                 (0x06, 0, 0, RET_ALLOW)]
        code = b"".join(struct.pack("HBBI", *step) for step in steps)
        buffer = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
        assert libc.prctl(22, 2, program) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    return install


class Check(harness.Case):
    def test_number(self):
        self.expect(harness.supervise("--check=number"), 0, out="reaches our filter")
        for action, text in ((RET_ERRNO | errno.EPERM, "EPERM"),
                             (RET_ERRNO | errno.ENOSYS, "ENOSYS"), (RET_KILL, "SIGSYS")):
            result = harness.supervise("--check=number", preexec_fn=filtered(387, action))
            self.expect(result, 1, out=f"refused by another filter, with {text}")
            whole = harness.supervise("--check", preexec_fn=filtered(387, action))
            self.assertEqual(whole.status, 1, whole)

    def test_other_number(self):
        # Separately, depending on which of the two a filter refuses.
        for refused, asked, status in ((500, 500, 1), (500, 387, 0), (387, 500, 0)):
            result = harness.supervise("--check=number", "-n", str(asked),
                                       preexec_fn=filtered(refused, RET_ERRNO | errno.EPERM))
            self.expect(result, status, out=f"system call {asked} ")
        self.expect(harness.supervise("--check=number", "-n", "39"), 125, err="getpid")

    def test_clone3(self):
        # EPERM: Docker before 20.10.10. The kernel also gives it for pids without privilege.
        for error in ("ENOSYS", "EPERM"):
            action = RET_ERRNO | getattr(errno, error)
            for feature, text in (("set_tid", f"clone3 itself gives {error}"),
                                  ("nesting", "unknown")):
                result = harness.supervise(f"--check={feature}", preexec_fn=filtered(435, action))
                self.expect(result, 1, out=text)
            self.expect(harness.supervise("--", "true", preexec_fn=filtered(435, action)), 125,
                        err="clone3")

    def test_agent(self):
        self.expect(harness.supervise("--check=agent", "--listen", self.path("nosuch")), 1,
                    out=self.path("nosuch"))
        agent = Agent(self)
        self.expect(harness.supervise("--check=agent", "--listen", agent.path), 0,
                    out="accepts connections")
        self.expect(harness.supervise("--check=agent",
                                      env={**os.environ, "CLONE2_SOCKET": agent.path}), 0)
        self.assertEqual(agent.end(), 0)
        self.assertNotIn("closed", agent.err(), "a look is no mistake")


class PrintBpf(harness.Case):
    def test_forms(self):
        coded = harness.supervise("--print-bpf=base64")
        self.expect(coded, 0)
        with open(self.path("bpf"), "wb") as file:
            self.assertEqual(harness.supervise("--print-bpf", stdout=file).status, 0)
        with open(self.path("bpf"), "rb") as file:
            plain = file.read()
        self.assertEqual(base64.b64decode(coded.out.strip(), validate=True), plain)
        self.assertEqual(len(plain) % 8, 0)
        steps = list(struct.iter_unpack("HBBI", plain))
        self.assertIn((0x15, 387), [(s[0], s[3]) for s in steps])
        self.assertIn((0x15, 0x32656e73), [(s[0], s[3]) for s in steps])  # libclone2's announcement
        other = harness.supervise("--print-bpf=base64", "-n", "337")
        self.assertNotEqual(other.out, coded.out)

    def test_refused(self):
        self.expect(harness.supervise("--print-bpf", "--nr=39"), 125, err="getpid")
        with open("/dev/full", "w") as full:
            self.assertEqual(harness.supervise("--print-bpf", stdout=full).status, 125)
        ours, theirs = pty.openpty()
        self.expect(harness.supervise("--print-bpf", stdout=theirs), 125, err="terminal")
        os.close(ours)
        os.close(theirs)


if __name__ == "__main__":
    harness.main()
