# SPDX-License-Identifier: MIT
"""Core dumps wherever the kernel may put them. Changes the kernel's core_pattern, so it is for a kernel
of its own (tests/kernels.sh)."""
import os
import signal

import harness

PATTERN = "/proc/sys/kernel/core_pattern"


class CorePattern(harness.Case):
    def set_pattern(self, pattern):
        with open(PATTERN, "w") as file:
            file.write(pattern)

    def death(self, cwd, before):
        """How the wrapper ends if PROGRAM dumps core."""
        wrapper = self.public_copy(harness.SUPERVISE)
        child = os.fork()
        if child == 0:
            os.chdir(cwd)
            argv = [*before, "prlimit", "--core=unlimited", wrapper, "--", "sh", "-c", "kill -SEGV $$"]
            os.execvp(argv[0], argv)
        return os.waitid(os.P_PID, child, os.WEXITED)

    def test_each(self):
        self.need_root()
        with open(PATTERN) as file:
            self.addCleanup(self.set_pattern, file.read().strip())
        as_nobody = ("setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}",
                     "--clear-groups")
        turn = 0
        for name, reported in (("core", True), ("core.%e.%p", True), ("{}/core", True),
                               ("{}/core.%p", True), ("|/bin/true", False)):
            for before in ((), as_nobody):
                turn += 1
                with self.subTest(pattern=name, before=before):
                    self.one(name, before, reported, self.path(f"cwd{turn}"), self.path(f"cores{turn}"))

    def one(self, name, before, reported, cwd, cores):
        for folder in (cwd, cores):
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        self.set_pattern(name.format(cores))
        info = self.death(cwd, before)
        self.assertEqual((info.si_code, info.si_status),
                         (os.CLD_DUMPED if reported else os.CLD_KILLED, signal.SIGSEGV))
        place = cores if name.startswith("{}") else cwd
        left = {folder: os.listdir(folder) for folder in (cwd, cores)}
        self.assertEqual({folder: len(files) for folder, files in left.items()},
                         {folder: int(reported and folder == place) for folder in left})
        if reported:
            with open(os.path.join(place, left[place][0]), "rb") as file:
                self.assertIn(b"kill -SEGV $$", file.read(), "it is the wrapper's core")


if __name__ == "__main__":
    harness.main()
