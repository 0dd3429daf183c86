# SPDX-License-Identifier: MIT
"""Agents that are replaced, by SIGTERM and SIGKILL, while their targets call."""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "agent"))
import agents
import harness
import procs
from targets import (CRASHES, PATIENCE, Failure, Target, all_gone, disturb, end_all, evidence,
                     is_target, members, send)

TARGETS = 8
# How much memory a target may gain after its first calls, whatever the number of restarts.
GROWTH_KIB = 128


class Stage(harness.Case):
    """What the agents' helpers need of a test."""

    def __init__(self, directory):
        super().__init__("no_test")
        self.tmp = directory

    def no_test(self):
        pass


class Peer:
    """A target under clone2-shim."""

    def __init__(self, session, number):
        self.number = number
        self.directory = os.path.join(session.directory, f"t{number}")
        os.mkdir(self.directory)
        self.target = Target(session.rng, self.directory, returns=True)
        self.name = f"{session.name}.{number}"
        self.mark = f"CLONE2_CHAOS={self.name}".encode()
        self.rounds = session.rng.randint(1, 20)  # restarts until it is ended
        self.number_to_end = session.rng.choice([signal.SIGTERM, signal.SIGKILL])
        self.restarts, self.size, self.killed = 0, None, False
        with open(os.path.join(self.directory, "out"), "w") as out, \
                open(os.path.join(self.directory, "err"), "w") as err:
            self.child = subprocess.Popen(
                [harness.SHIM, "--socket", session.socket_path, "--", *self.target.argv],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                env={**os.environ, "CLONE2_CHAOS": self.name})

    def __str__(self):
        return f"target {self.number}: {' '.join(self.target.argv)}"

    def check_size(self):
        """Restarts leave nothing in a target."""
        counted = self.target.counters()
        if not self.target.single or not counted or counted[0] < 100:
            return
        try:
            size = int(procs.status(self.child.pid)["VmSize"].split()[0])
        except (OSError, KeyError):
            return
        self.size = self.size or size
        if size > self.size + GROWTH_KIB:
            raise Failure(f"{self}: VmSize from {self.size} to {size} KiB in {self.restarts} restarts")

    def terminate(self):
        """Ends what does not end by itself; whether all of it is gone."""
        for p in members(self.mark):
            if not self.target.ends and is_target(p):
                self.killed = True
                self.target.end(p, self.number_to_end)
        return self.child.poll() is not None and all_gone(self.mark)

    def judge(self):
        status = self.child.returncode
        self.target.check_files()
        if -status in CRASHES or status - 128 in CRASHES:
            raise Failure(f"{self}: exit status {status}")
        if status == 125 and "clone2-shim: the agent refused" in self.target.read("err"):
            return 0, 0  # its agent ended just as it came
        told, counted = self.target.calls_of_endure(), self.target.counters()
        if self.target.ends and status != 0:
            raise Failure(f"{self}: exit status {status}")
        if self.target.endures and not told:
            raise Failure(f"{self}: no word of it")
        calls, unanswered = told or (counted[0], counted[2]) if told or counted else (0, 0)
        # A restart may only cost calls that an agent had received and not answered. An agent dies
        # thread by thread: one may still receive the next call of a target that another let go.
        if self.target.kind != "short" and unanswered > 2 * self.target.threads * self.restarts:
            raise Failure(f"{self}: {unanswered} ENOSYS in {self.restarts} restarts")
        return calls, unanswered


class Session:
    """One service manager and its agents, until the last of their targets has ended."""

    def __init__(self, run, number):
        self.number, self.name = number, f"{run.seed}.a{number}"
        self.rng = random.Random(f"{run.seed}/agent/{number}")
        self.directory = os.path.join(run.directory, f"a{number}")
        os.mkdir(self.directory)
        self.stage = Stage(self.directory)
        self.socket_path = os.path.join(self.directory, "agent.sock")
        self.kills = self.calls = self.unanswered = 0
        self.peers, self.peer_count, self.agent_count = [], 0, 0
        self.rounds = self.rng.randint(10, 30)
        self.io_uring = run.io_uring
        self.agent = None
        self.history, self.began = [], time.monotonic()

    def _note(self, what):
        """For the evidence: what the test did, and when."""
        self.history.append(f"{time.monotonic() - self.began:.3f} {what}")

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
                listening.bind(self.socket_path)
                listening.listen(64)
                self.listening = listening
                self.manager = agents.ServiceManager(self.stage)
                self._run()
        except (Failure, AssertionError) as failure:
            raise Failure(f"agents, session {self.number}\n{failure}\n{self._evidence()}") from None
        finally:
            if self.agent and self.agent.child.poll() is None:
                self.agent.child.send_signal(signal.SIGKILL)
                self.agent.child.wait(PATIENCE)
            for peer in self.peers:
                end_all(peer.mark)
                peer.child.wait()
            self.stage.doCleanups()
        shutil.rmtree(self.directory)

    def _evidence(self):
        lines = []
        for peer in self.peers:
            if peer.child.returncode is None:
                lines += [str(peer), *evidence(peer.mark, peer.target)]
        if self.agent:
            lines.append("agent: " + self.agent.err()[-2000:])
        lines.append(f"{time.monotonic() - self.began:.3f} now; before: " + "; ".join(self.history))
        return "\n".join(lines)

    def _wait(self, condition, what):
        value = procs.wait_for(condition, PATIENCE)
        if not value:
            raise Failure(f"waited {PATIENCE} s for {what() if callable(what) else what}")
        return value

    def _start_agent(self, plain=False):
        options = []
        for share, words in ((.4, ["--log", os.path.join(self.directory, "log")]), (.2, self.io_uring)):
            if self.rng.random() < share and not plain:
                options += words
        self.agent_count += 1
        self.agent = self.manager.start(f"agent{self.agent_count}", *options,
                                        sockets=[self.listening])
        self._note(f"agent {self.agent_count} started")

    def _end_agent(self, number):
        self._note(f"agent {self.agent_count} gets signal {number}")
        status = self.agent.end(number)
        self._note("it has ended")
        said = self.agent.err()
        if status != (0 if number == signal.SIGTERM else -number) or "Sanitizer" in said:
            raise Failure(f"agent {self.agent_count}: exit status {status}\n{said[-4000:]}")
        self.kills += number == signal.SIGKILL

    def _run(self):
        self._start_agent(plain=True)
        self.fresh = self.agent.fds(), self._threads()
        self._end_agent(signal.SIGTERM)
        self._start_agent()
        for _ in range(self.rounds):
            while len(self.peers) < TARGETS:
                self.peer_count += 1
                self.peers.append(Peer(self, self.peer_count))
            stopped = []
            late = self.rng.choice([0, .01, .05, .2])
            for _ in range(self.rng.randint(1, 4)):
                time.sleep(self.rng.random() * late)
                peer = self.rng.choice(self.peers)
                stopped += disturb(self.rng, peer.mark, peer.target, self._note)
            self._end_agent(self.rng.choice([signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]))
            for peer in self.peers:
                peer.restarts += 1
            time.sleep(self.rng.random() * late)
            if self.rng.random() < .5:
                self._continue(stopped)
            self._start_agent()
            self._continue(stopped)
            self._look_at_peers()
        for peer in self.peers:
            peer.rounds = 0
        self._wait(lambda: self._look_at_peers() or not self.peers, "the targets' end")
        self._check_agent()

    def _continue(self, stopped):
        for p in stopped:
            existed = send(p, signal.SIGCONT)
            self._note(f"{p.pid} continued" if existed else f"{p.pid} to be continued, gone")
        stopped.clear()

    def _look_at_peers(self):
        for peer in list(self.peers):
            peer.check_size()
            if peer.child.poll() is None and not peer.target.ends and peer.restarts >= peer.rounds:
                self._end_peer(peer)
            if peer.child.poll() is not None:
                self._wait(peer.terminate, f"the end of all of {peer}")
                calls, unanswered = peer.judge()
                self.calls += calls
                self.unanswered += unanswered
                self.peers.remove(peer)
                shutil.rmtree(peer.directory)

    def _end_peer(self, peer):
        # It is served in the end.
        if before := peer.target.counters():
            self._wait(lambda: peer.child.poll() is not None
                       or peer.target.counters()[0] > before[0] + 20, f"calls of {peer}")
        self._wait(peer.terminate, f"the end of {peer}, which was sent {peer.number_to_end}")

    def _check_agent(self):
        """Nothing is left of targets that have ended."""
        self._wait(lambda: not self.manager.names(), "an empty store")
        # What has ended is closed a little later. A log, and io_uring's own, stay open; a thread
        # writes the log, one leads, and four may be parked besides the main thread.
        descriptors, threads = self.fresh
        self._wait(lambda: self.agent.fds() <= descriptors + 2 and self._threads() <= threads + 6,
                   lambda: f"an agent as at first, with {descriptors} descriptors and {threads} "
                           f"threads; now {self._open()}")
        self._end_agent(signal.SIGTERM)

    def _threads(self):
        return len(os.listdir(f"/proc/{self.agent.pid}/task"))

    def _open(self):
        """What the agent has open, and its number of threads."""
        files = f"/proc/{self.agent.pid}/fd"
        names = sorted(os.readlink(os.path.join(files, name)) for name in os.listdir(files))
        return f"{names}, {self._threads()} threads"
