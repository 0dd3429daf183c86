# SPDX-License-Identifier: MIT
"""Programs of many kinds, none of them written for this."""
import os
import subprocess

import harness

PERL = """
my $args = pack('QQLLLLQ', 17, 0, 1, 0, 0, 0xdeadbeef, 0);
my $pids = pack('l', 7000);
for (1..20) {
    my $pid = syscall(387, $args, $pids);
    if ($pid == 0) { exit($$ == 7000 ? 5 : 1) }
    $pid == 7000 or die "clone2: $pid $!";
    waitpid($pid, 0);
    $? == 5 << 8 or die "status $?";
}
print "ok\\n";
"""

PYTHON = """
import ctypes, os, sys, threading
sys.setswitchinterval(1000)  # no switch in the child of a thread: it is alone
libc = ctypes.PyDLL(None, use_errno=True)  # keeps the GIL: the child must own it
libc.syscall.restype = ctypes.c_long
def clone2(pid):
    args = (ctypes.c_uint64 * 5)(17, 0, 1, 0, 0)
    pids = (ctypes.c_int * 1)(pid)
    return libc.syscall(387, args, pids)
def work(base):
    for i in range(25):
        pid = clone2(base + i)
        if pid == 0:
            os._exit(7 if os.getpid() == base + i else 1)
        assert pid == base + i, (pid, os.strerror(ctypes.get_errno()))
        assert os.waitpid(pid, 0)[1] == 7 << 8
    os.write(1, b'ok\\n')
threads = [threading.Thread(target=work, args=(7000 + 100 * n,)) for n in range(int(sys.argv[1]))]
[t.start() for t in threads]
[t.join() for t in threads]
"""

GO = """
package main
import ("fmt"; "os"; "sync"; "syscall"; "unsafe")
type cloneStruct struct { flags, stack uint64; nr, ptid, ctid, r1 uint32; r2 uint64 }
func main() {
    var group sync.WaitGroup
    for n := 0; n < 8; n++ {
        group.Add(1)
        go func(base int32) {
            defer group.Done()
            for i := int32(0); i < 25; i++ {
                args := cloneStruct{flags: 17, nr: 1}
                pid := base + i
                got, _, errno := syscall.RawSyscall(387, uintptr(unsafe.Pointer(&args)),
                    uintptr(unsafe.Pointer(&pid)), 0)
                if got == 0 && errno == 0 { syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 7, 0, 0) }
                if errno != 0 || int32(got) != pid { fmt.Println("bad", got, errno); os.Exit(1) }
                var status syscall.WaitStatus
                syscall.Wait4(int(pid), &status, 0, nil)
                if status.ExitStatus() != 7 { fmt.Println("status", status); os.Exit(1) }
            }
        }(int32(7000 + 100*n))
    }
    group.Wait()
    fmt.Println("ok")
}
"""


class Languages(harness.Case):
    def ok(self, *program, lines=1):
        result = harness.supervise("--", *program)
        self.assertEqual((result.status, result.out), (0, "ok\n" * lines), result)

    def test_perl(self):
        self.need_command("perl")
        self.ok("perl", "-e", PERL)

    def test_python(self):
        self.ok(harness.PYTHON, "-c", PYTHON, "1")

    def test_python_threads(self):
        self.ok(harness.PYTHON, "-c", PYTHON, "8", lines=8)

    def test_static_glibc(self):
        self.need_file("static-glibc", harness.CALL_STATIC)
        result = harness.supervise("--", harness.CALL_STATIC, "-r", "10", "7000")
        self.assertEqual(harness.calls(result.out), [7000] * 10, result)

    def test_musl(self):
        self.need_command("musl-gcc")
        here = os.path.dirname(os.path.abspath(__file__))
        source = os.path.dirname(os.path.dirname(here))
        for name, options in (("static", ["-static"]), ("dynamic", [])):
            with self.subTest(link=name):
                program = self.path(name)
                subprocess.run(["musl-gcc", *options, "-O2", f"-I{source}/shim",
                                f"-I{source}/supervisor", "-o", program,
                                f"{here}/targets/clone2_call.c"], check=True)
                result = harness.supervise("--", program, "-r", "10", "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 10, result)

    def test_go(self):
        self.need_command("go")
        with open(self.path("main.go"), "w") as f:
            f.write(GO)
        subprocess.run(["go", "build", "-o", self.path("prog"), self.path("main.go")], check=True,
                       env={**os.environ, "GO111MODULE": "off", "GOCACHE": self.path("cache")})
        self.ok(self.path("prog"))


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
