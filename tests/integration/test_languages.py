# SPDX-License-Identifier: MIT
"""Programs of many kinds, none of them written for this."""
import os
import subprocess

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
EXAMPLES = os.path.join(SOURCE, "examples", "languages")


class Languages(harness.Case):
    """examples/languages/, as its users run them."""

    limit = 600  # compilers, and a busy machine

    def ok(self, language, pids=range(7000, 7001)):
        environment = {**os.environ, "CLONE2_RUN": f"{harness.SUPERVISE} --",
                       "GOCACHE": self.path("cache"), "TMPDIR": self.tmp}
        result = harness.run(["sh", os.path.join(EXAMPLES, "run.sh"), language, *pids],
                             timeout=300, env=environment)
        expected = [line for pid in pids for line in (f"child: my pid is {pid}",
                                                      f"parent: the child's pid was {pid}")]
        self.assertEqual((result.status, sorted(result.out.splitlines()), result.err),
                         (0, sorted(expected), ""), result)

    def test_c(self):
        self.need_command("cc")
        self.ok("c")

    def test_c_thread(self):
        self.need_command("cc")
        self.ok("c-thread")

    def test_musl(self):
        self.need_command("musl-gcc")
        self.ok("musl")

    def test_python(self):
        self.ok("python")

    def test_python_threads(self):
        self.ok("python", range(7000, 7100))

    def test_perl(self):
        self.need_command("perl")
        self.ok("perl", range(7000, 7020))

    def test_go(self):
        self.need_command("go")
        self.ok("go", range(7000, 7100))

    def test_rust(self):
        self.need_command("rustc")
        self.ok("rust")
        self.ok("rust-asm")

    def test_node(self):
        self.need_command("node")
        self.need("node", os.path.exists("/usr/include/node/node_api.h"), "its headers are missing")
        self.ok("node", range(7000, 7010))

    def test_java(self):
        self.need_command("javac")
        self.ok("java", range(7000, 7010))

    def test_shells(self):
        for shell in ("sh", "bash", "busybox"):
            with self.subTest(shell=shell):
                self.need_command(shell)
                self.ok(shell, range(7000, 7003))


class Linkage(harness.Case):
    """A program of another C library, and one without any shared library."""

    def ten_children(self, program):
        result = harness.supervise("--", program, "-r", "10", "7000")
        self.assertEqual(harness.calls(result.out), [7000] * 10, result)

    def test_static_glibc(self):
        self.need_file("static-glibc", harness.CALL_STATIC)
        self.ten_children(harness.CALL_STATIC)

    def test_dynamic_musl(self):
        self.need_command("musl-gcc")
        program = self.path("program")
        subprocess.run(["musl-gcc", "-O2", f"-I{SOURCE}/shim", f"-I{SOURCE}/supervisor", "-o", program,
                        f"{HERE}/targets/clone2_call.c"], check=True)
        self.ten_children(program)


class OrdinaryPrograms(harness.Case):
    """Programs that know nothing of clone2 do not notice the wrapper."""

    SCRIPT = ('set -e; a=$(echo x | sed s/x/y/); [ "$a" = y ]; i=0; '
              "while [ $i -lt 50 ]; do (exit 3) || true; i=$((i+1)); done; "
              "echo b a | tr ' ' '\\n' | sort | { read l; echo $l; }; trap 'echo bye' EXIT; exit 4")

    def same(self, *shell):
        self.need_command(shell[0])
        bare = harness.run([*shell, "-c", self.SCRIPT])
        wrapped = harness.supervise("--", *shell, "-c", self.SCRIPT)
        self.assertEqual((wrapped.status, wrapped.out, wrapped.err),
                         (bare.status, bare.out, bare.err))
        self.assertEqual((bare.status, bare.out), (4, "a\nbye\n"))

    def test_dash(self):
        self.same("dash")

    def test_bash(self):
        self.same("bash")

    def test_busybox(self):
        self.need_command("busybox")
        self.same("busybox", "sh")

    def test_compiler(self):
        self.need_command("cc")
        with open(self.path("a.c"), "w") as f:
            f.write("int main(void) { return 42; }\n")
        self.expect(harness.supervise("--", "cc", "-pipe", "-o", self.path("a"), self.path("a.c")))
        self.expect(harness.supervise("--", self.path("a")), 42)

    def test_program_with_its_own_filter(self):
        result = harness.supervise("--", harness.REFUSE, "9999=1",
                                   "--", harness.CALL, "-r", "3", "7000")
        self.assertEqual(harness.calls(result.out), [7000] * 3, result)


if __name__ == "__main__":
    harness.main()
