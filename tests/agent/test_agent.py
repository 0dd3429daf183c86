# SPDX-License-Identifier: MIT
"""The agent: its socket, its peers, many listeners."""
import errno
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess

import agents
import harness
import procs
import tracing
from agents import Agent, ServiceManager, Started, Target, ended

CLONE_NEWPID = 0x20000000
BIND = 49  # x86-64


class Whose(harness.Case):
    """Each line says whose call it was."""

    def record(self):
        """The log's only line. A call does not wait long for it."""
        self.wait(lambda: self.read("log").endswith("\n"), "a line in the log")
        return json.loads(self.read("log"))

    def test_log(self):
        agent = Agent(self, "--log", self.path("log"), "--log-format=json")
        target = Target(self)
        target.give(agent, container="web")
        self.assertEqual(target.call(7000), 7000)
        record = self.record()
        self.assertEqual((record["uid"], record["peer"], record["child_here"]),
                         (os.geteuid(), "web", 7000))

    def test_a_child_in_another_namespace(self):
        self.need_command("unshare")
        agent = Agent(self, "--log", self.path("log"), "--log-format=json")
        result = agent.shim("unshare", "--pid", "--fork", "sh", "-c", f"{harness.CALL} 77; true")
        self.expect(result, 0, out="pid 77")
        record = self.record()
        self.assertEqual(record["result"], 77)
        self.assertRegex(record["peer"], r"\Aclone2-shim \d+\Z")
        self.need("pid translation (6.11)", "child_here" in record)
        self.assertNotEqual(record["child_here"], 77)

    def peers(self, log):
        return {json.loads(line)["peer"] for line in self.read(log).splitlines()}

    def test_sandboxes_of_one_user(self):
        # Inside, each has pid 1. Here their pids differ, and stay when another agent takes over.
        manager = ServiceManager(self)
        agent = manager.start("a", "--log", self.path("a.log"), "--log-format=json")
        sandboxes = [self.start("unshare", "--pid", "--fork", agents.SHIM, "--socket", agent.path,
                                "sh", "-c", f"{harness.CALL} 77; read line; {harness.CALL} 77",
                                stdin=subprocess.PIPE) for _ in range(2)]
        self.wait(lambda: self.read("a.log").count("\n") == 2, "a call of each")
        programs = [process.pid for process in procs.everything()
                    if process.ppid in [sandbox.pid for sandbox in sandboxes]]
        self.assertEqual(self.peers("a.log"), {f"clone2-shim {pid}" for pid in programs})
        for pid in programs:
            agent.says(f"clone2-shim {pid} (uid 0, pid 1 there): its listener is served\n")
        agent.end(signal.SIGKILL)
        agent = manager.start("b", "--log", self.path("b.log"), "--log-format=json")
        for sandbox in sandboxes:
            sandbox.stdin.write("\n")
            sandbox.stdin.close()
            self.assertEqual(self.finish(sandbox), 0)
        self.assertEqual(self.peers("b.log"), self.peers("a.log"))

    def test_a_program_that_serves_itself(self):
        # One line of each executed program, and none of its calls.
        program = ["env", f"LD_PRELOAD={harness.PRELOAD}", "CLONE2_SHIM=trap", harness.CALL, "-r",
                   "3"]
        agent = Agent(self, "--log", self.path("log"))
        self.expect(agent.shim(*program))
        self.assertRegex(self.read("log"),
                         rf'^\S+ \d+ "clone2-call" uid={os.geteuid()} peer="clone2-shim \d+" '
                         r"serves calls itself, by libclone2: those are not logged here\n$")
        self.assertNotIn("refused", agent.err())
        agent = Agent(self, "--log", self.path("json"), "--log-format=json", name="second")
        self.expect(agent.shim(*program))
        line = json.loads(self.read("json"))
        self.assertEqual((line["comm"], line["uid"], line["served_by"]),
                         ("clone2-call", os.geteuid(), "libclone2"))
        self.assertRegex(line["peer"], r"\Aclone2-shim \d+\Z")

    def test_announcements_are_calls_like_others(self):
        # Each is one line, with a log, and fails as it does without an agent.
        program = ("import ctypes; l = ctypes.CDLL(None, use_errno=True)\n"
                   "print({(l.prctl(0x32656e73, 0, 0, 0, 0), ctypes.get_errno())"
                   " for _ in range(50)})")
        for options in ((), ("--log", self.path("log"))):
            with self.subTest(options=options):
                agent = Agent(self, *options, name=f"agent{len(options)}")
                result = agent.shim(harness.PYTHON, "-S", "-c", program)
                self.expect(result, out="{(-1, %d)}\n" % errno.EINVAL)
                self.assertNotIn("refused", agent.err())
        self.assertEqual(self.read("log").count("serves calls itself"), 50)
        self.assertEqual(self.read("log").count("\n"), 50)

    def test_messages(self):
        agent = Agent(self, "-vv")
        target = Target(self)
        target.give(agent, container="web")
        target.call(7000)
        who = rf'\d+ "[^"]+" of container "web" \(uid {os.geteuid()}, pid \d+ there\)'
        self.wait(lambda: re.search(rf"thread {who}: trampoline installed\n", agent.err()),
                  "the news of the code")
        self.assertRegex(agent.err(), rf"clone2-supervise: {who} \+\d+ us planned: ")


class Counters(harness.Case):
    def test_on_request(self):
        agent = Agent(self, "--stats")
        agent.serves()
        os.kill(agent.pid, signal.SIGUSR1)
        agent.says("clone2 calls: 1\n  success: 1\n")

    def test_as_json(self):
        agent = Agent(self, "--stats", "--json")
        agent.serves()
        os.kill(agent.pid, signal.SIGUSR1)
        agent.says('{"calls":1,"results":{"success":1},')

    def test_not_counted(self):
        agent = Agent(self)
        os.kill(agent.pid, signal.SIGUSR1)
        agent.says("no calls are counted without --stats or --metrics")
        agent.serves()

    def test_metrics(self):
        agent = Agent(self, "--metrics", self.path("metrics"))
        self.assertIn("clone2_listeners 0\n", self.read("metrics"))
        agent.serves()
        self.assertEqual(agent.end(), 0)
        self.assertIn('clone2_calls_total{result="success"} 1\n', self.read("metrics"))
        self.assertFalse(os.path.exists(self.path("metrics.new")))

    def test_metrics_that_can_not_be_written(self):
        agent = Agent(self, "--metrics", "/no/such/directory/metrics", wait=False)
        self.assertEqual(self.finish(agent.child), 125)
        agent.says("--metrics /no/such/directory/metrics")


class Socket(harness.Case):
    def mode(self, agent):
        return stat.S_IMODE(os.stat(agent.path).st_mode)

    def test_only_for_the_own_user(self):
        self.assertEqual(self.mode(Agent(self)), 0o600)

    def test_for_others(self):
        self.need_root()
        agent = Agent(self, "--allow-uid", f"1,{harness.NOBODY}")
        self.assertEqual(self.mode(agent), 0o666)
        shim = self.public_copy(agents.SHIM)
        call = self.public_copy(harness.CALL)
        for uid, status in ((harness.NOBODY, 0), (2, 125)):
            # Without privilege they may only make plain clones.
            result = harness.run(["setpriv", f"--reuid={uid}", "--clear-groups", shim, "--socket",
                                  agent.path, call], cwd="/")
            self.assertEqual(result.status, status, result)
        self.assertIn("uid 2 may not use this agent", result.err)
        agent.says("uid 2 was turned away")

    def test_overflow_uid(self):
        # Only root is mapped in this namespace: all others appear as 65534 and are refused.
        self.need_root()
        agent = Agent(self, "--allow-uid", str(harness.NOBODY),
                      command=["unshare", "--user", "--map-root-user"])
        shim = self.public_copy(agents.SHIM)
        for uid in (2, harness.NOBODY):
            result = harness.run(["setpriv", f"--reuid={uid}", "--clear-groups", shim, "--socket",
                                  agent.path, "true"], cwd="/")
            self.expect(result, 125, err="doesn't map may not use this agent")
        agent.says("doesn't map was turned away")
        self.expect(agent.shim("true"), 0)

    def test_replaced_socket_file(self):
        # The owner of the directory replaces the socket by another file, whose mode must not
        # change.
        path, secret = self.path("s"), self.path("secret")
        with open(secret, "w"):
            os.chmod(secret, 0o600)
        begin, begun = os.pipe()

        def body():
            os.read(begin, 1)
            os.execv(harness.SUPERVISE, [harness.SUPERVISE, "--listen", path, "--allow-uid", "1",
                                         "-v"])

        agent = Started(self, "agent", body, wait=False)
        held = tracing.Before(agent.pid, BIND)
        os.write(begun, b".")
        self.wait(held.reached, "bind()")
        held.finish_call()
        made = stat.S_IMODE(os.stat(path).st_mode)
        os.rename(secret, path)
        held.let_go()
        agent.says("listening on")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(made, 0o666)

    def test_second_agent(self):
        agent = Agent(self)
        second = harness.supervise("--listen", agent.path)
        self.expect(second, 125, err="another agent serves it")
        agent.serves()

    def test_foreign_server(self):
        path = self.path("other.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(path)
            other.listen()
            self.expect(harness.supervise("--listen", path), 125, err="another process serves it")
            self.assertTrue(os.path.exists(path))

    def test_stale_file(self):
        agent = Agent(self, name="first", path=self.path("s"))
        self.assertEqual(agent.end(signal.SIGKILL), -signal.SIGKILL)
        self.assertTrue(os.path.exists(agent.path))
        agent = Agent(self, name="second", path=self.path("s"))
        agent.serves()
        self.assertEqual(agent.end(), 0)
        self.assertEqual([f for f in os.listdir(self.tmp) if f in ("s", "s.lock")], [])

    def test_only_sockets_are_removed(self):
        with open(self.path("file"), "w") as file:
            file.write("precious")
        result = harness.supervise("--listen", self.path("file"))
        self.expect(result, 125, err="is not a socket")
        self.assertEqual(self.read("file"), "precious")

    def test_directory_is_created(self):
        agent = Agent(self, path=self.path("made/agent.sock"))
        agent.serves()

    def test_unusable_paths(self):
        for path, text in ((self.path("x" * 108), "too long"), ("/nosuch/dir/s", "No such file")):
            result = harness.supervise("--listen", path)
            self.expect(result, 125, err=text)
            self.assertEqual(result.out, "")

    def test_usage(self):
        for words in (["--listen", "p", "true"], ["--listen", "p", "--pidns"],
                      ["--listen", "p", "--wait-all"], ["--listen", "p", "--exit-status=128"],
                      ["--allow-uid=1", "true"], ["--policy", "f", "true"], ["--listen"],
                      ["--listen", "p", "--allow-uid", "1,"], ["--listen", "p", "--allow-uid", "x"],
                      ["--listen", "p", "--provider=kernel"], ["--listen="]):
            result = harness.supervise(*words)
            self.assertEqual(result.status, 125, result)
            self.assertIn("clone2-supervise: ", result.err)


class Serving(harness.Case):
    def test_an_oci_peer(self):
        agent = Agent(self)
        target = Target(self)
        peer = target.give(agent)
        self.assertEqual(target.call(7000), 7000)
        peer.shutdown(socket.SHUT_WR)
        self.assertEqual(ended(peer), b"", "runtimes get no answer")

    def test_socket_that_stays_open(self):
        # The message is complete, so the agent must not wait for end of file.
        agent = Agent(self)
        target = Target(self)
        peer = target.give(agent)
        self.assertEqual(target.call(7000), 7000)
        peer.sendall(b"\n")
        self.assertEqual(target.call(7001), 7001)

    def test_message_in_pieces(self):
        agent = Agent(self)
        target = Target(self)
        text = agents.state()
        peer = agent.send(text[:20], [target.listener])
        peer.sendall(text[20:60])
        peer.sendall(text[60:])
        self.assertEqual(target.call(7000), 7000)

    def test_listener_among_other_descriptors(self):
        agent = Agent(self)
        target = Target(self)
        before = agent.fds()
        with open("/dev/null") as null:
            agent.send(agents.state(fds=("pidFd", "seccompFd", "x")),
                       [null.fileno(), target.listener, null.fileno()])
        target.forget()
        self.assertEqual(target.call(7000), 7000)
        # Two more: the connection, which is still open, and the listener. The others are closed.
        self.wait(lambda: agent.fds() == before + 2, "the other descriptors' end")

    def test_null_and_unknown_members(self):
        agent = Agent(self)
        target = Target(self)
        agent.send(b'{"fds":["seccompFd"],"metadata":null,"state":null,"new":[{"a":1}],'
                   b'"ociVersion":"99"}', [target.listener])
        target.forget()
        self.assertEqual(target.call(7000), 7000)

    def test_listener_after_listener(self):
        agent = Agent(self)
        before = agent.fds()
        for _ in range(50):
            agent.serves()
        self.wait(lambda: agent.fds() == before, f"no descriptor more than before, {before}")

    def test_thousand_listeners(self):
        agent = Agent(self)
        before = agent.fds()
        targets = []
        for i in range(1000):
            targets.append(Target(self))
            targets[-1].give(agent, container=f"c{i}").close()
        for i, target in enumerate(targets):
            target.ask(8000 + i)
        self.assertEqual([t.answer() for t in targets], list(range(8000, 9000)))
        self.assertEqual(agent.fds(), before + 1000)
        for target in targets:
            target.close()
        for i in range(1000):
            os.kill(8000 + i, signal.SIGKILL)
        self.wait(lambda: agent.fds() == before, "the end of all listeners")
        self.assertEqual(agent.end(), 0)

    def test_other_numbers(self):
        agent = Agent(self, "--nr", "337")
        target = Target(self, nr=337)
        target.give(agent)
        self.assertEqual(target.call(7000), 7000)
        other = Target(self, nr=400)
        other.give(agent)
        self.assertEqual(other.call(7001), -errno.ENOSYS)
        agent.says("system call 400 is not 337")

    def test_several_numbers(self):
        agent = Agent(self, "--nr", "337,387")
        for nr, want in ((337, 7000), (387, 7001), (400, -errno.ENOSYS)):
            target = Target(self, nr=nr)
            target.give(agent)
            self.assertEqual(target.call(abs(want)), want)
        agent.says("system call 400 is not 337,387")

    def test_log_and_stats(self):
        agent = Agent(self, "--log", self.path("log"), "--log-format=json", "--stats")
        agent.serves()
        self.assertEqual(agent.end(), 0)
        self.assertIn('"result":7000', self.read("log").replace(" ", ""))
        self.assertIn("clone2 calls: 1\n", agent.err())

    def test_event_loops(self):
        for loop in ("io_uring", "epoll"):
            with self.subTest(loop=loop):
                if loop == "io_uring":
                    self.need("io_uring", harness.has_io_uring())
                agent = Agent(self, "--event-loop", loop, name=loop)
                agent.says(f"with {loop}")
                agent.serves()
                self.assertEqual(agent.end(), 0)

    def test_invisible_pid_namespace(self):
        # The agent is in a pid namespace below the target's, so the caller has no pid there.
        path = self.path("inner.sock")
        child = self.start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                           harness.SUPERVISE, "--listen", path, stderr=open(self.path("e"), "w"))
        self.wait(lambda: harness.accepts(path), "the agent")
        result = harness.run([agents.SHIM, "--socket", path, harness.CALL, "7000"])
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)
        self.wait(lambda: "can't see" in self.read("e"), "its reason")
        self.assertIn("hostPID", self.read("e"))
        child.kill()
        self.finish(child)


class Start(harness.Case):
    def test_without_threads(self):
        # It serves, or reports at start-up what is missing.
        self.need_root()
        self.need("setpriv", shutil.which("setpriv"), "command not installed")
        os.chmod(self.tmp, 0o777)
        command = self.public_copy(harness.SUPERVISE)
        uid = 1_000_000_000 + os.stat("/proc/self/ns/pid").st_ino % 1_000_000 * 100
        starts = []
        for most in range(1, 10):
            name = f"agent{most}"
            agent = self.start("prlimit", f"--nproc={most}", "setpriv", f"--reuid={uid + most}",
                               f"--regid={uid}", "--clear-groups", command, "-v", "--listen",
                               self.path(name), stderr=open(self.path(name + ".err"), "w"))
            self.wait(lambda: "listening on" in self.read(name + ".err") or
                      agent.poll() is not None, "a start")
            starts.append(agent.poll() is None)
            if starts[-1]:
                agent.terminate()
                self.assertEqual(self.finish(agent), 0, self.read(name + ".err"))
            else:
                self.assertEqual((agent.returncode, self.read(name + ".err")), (
                    125, "clone2-supervise: pthread_create(): Resource temporarily unavailable "
                    f"(ulimit -u is {most}; a control group may limit processes, too)\n"))
        self.assertEqual(starts, sorted(starts))
        self.assertIn(False, starts)
        self.assertIn(True, starts)


class Log(harness.Case):
    def test_sighup_reopens_it(self):
        agent = Agent(self, "--log", self.path("log"))
        agent.serves()
        os.rename(self.path("log"), self.path("log.1"))
        agent.child.send_signal(signal.SIGHUP)
        self.wait(lambda: os.path.exists(self.path("log")), "the new file")
        agent.serves()
        self.wait(lambda: self.read("log"), "the second line")
        self.assertEqual([self.read(name).count("\n") for name in ("log.1", "log")], [1, 1])
        self.assertEqual(agent.end(), 0)

    def test_without_a_reader(self):
        # Nothing reads the log, or stderr with the statistics: the agent serves, and it ends.
        for name in ("log", "err"):
            os.mkfifo(self.path(name))
            reader = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, reader)
            writer = os.open(self.path(name), os.O_WRONLY | os.O_NONBLOCK)
            try:
                while True:
                    os.write(writer, b"x" * 4096)
            except BlockingIOError:
                os.close(writer)
        command = ["sh", "-c", 'exec "$@" 2>"$0"', self.path("err")]
        agent = Agent(self, "--log", self.path("log"), "--stats", wait=False, command=command)
        self.wait(lambda: harness.accepts(agent.path), "the agent")
        for _ in range(3):
            agent.serves()
        self.assertEqual(agent.end(), 0)


class Messages(harness.Case):
    def test_stages_of_a_call(self):
        # Agent gives -v itself.
        agent = Agent(self, "--verbose")
        agent.serves()
        agent.says(" planned: clone3(SIGCHLD, set_tid {7000})")
        for stage in ("received", "read", "slot", "redirected", "reported", "answered"):
            line = (rf'\d+ "clone2-call" of clone2-shim (\d+) \(uid 0, pid \1 there\) '
                    rf'\+\d+ us {stage}: ')
            self.wait(lambda: re.search(line, agent.err()), f"{line} in:\n{agent.err()}")
        self.assertEqual(agent.end(), 0)

    def test_no_stages_with_v_alone(self):
        agent = Agent(self)
        agent.serves()
        self.assertEqual(agent.end(), 0)
        self.assertNotIn(" us received: ", agent.err())


if __name__ == "__main__":
    harness.main()
