# SPDX-License-Identifier: MIT
"""--policy: who may ask for what."""
import errno
import json
import os
import re
import signal

import agents
import harness
import procs
from agents import Agent, Target

CLONE_NEWPID, CLONE_NEWUTS = 0x20000000, 0x04000000
PERM = -errno.EPERM


class Policy(harness.Case):
    def write(self, *rules, text=None):
        with open(self.path("policy.json"), "w") as file:
            file.write(json.dumps({"rules": rules}) if text is None else text)
        return self.path("policy.json")

    def agent(self, *rules):
        return Agent(self, "--policy", self.write(*rules))

    def target(self, agent, **kw):
        target = Target(self)
        target.give(agent, **kw)
        return target

    def test_pids(self):
        agent = self.agent({"pids": [[7000, 7009], 7777]})
        target = self.target(agent)
        self.assertEqual([target.call(pid) for pid in (7000, 7009, 7777)], [7000, 7009, 7777])
        self.assertEqual([target.call(pid) for pid in (6999, 7010, 1)], [PERM] * 3)
        self.assertGreater(target.call(0), 0)
        self.assertGreater(target.call(), 0)
        agent.says("pid 6999 not allowed: outside 7000..7009,7777 (rule 1 of the policy)")

    def test_flags(self):
        agent = self.agent({"flags": ["CLONE_NEWUTS"]})
        target = self.target(agent)
        self.assertEqual(target.call(7000, flags=CLONE_NEWUTS), 7000)
        self.assertEqual(target.call(7001, flags=CLONE_NEWUTS | CLONE_NEWPID), PERM)
        agent.says("CLONE_NEWPID not allowed: only CLONE_NEWUTS (rule 1 of the policy)")

    def test_first_match_wins(self):
        agent = self.agent({"match": {"container": "web-*"}, "pids": [[7000, 7009]]},
                           {"match": {"annotations": {"tier": "db"}}, "deny": "no databases"},
                           {"match": {"metadata": "free"}})
        web = self.target(agent, container="web-1", annotations={"tier": "db"})
        self.assertEqual([web.call(7000), web.call(7010)], [7000, PERM])
        database = self.target(agent, container="x", annotations={"tier": "db"})
        self.assertEqual(database.call(), PERM)
        free = self.target(agent, metadata="free")
        self.assertEqual(free.call(7050), 7050)
        other = self.target(agent, container="web")
        self.assertEqual(other.call(), PERM)
        agent.says("no databases")
        agent.says("no rule of the policy matches this caller")

    def test_uid(self):
        agent = self.agent({"match": {"uid": [1, 2]}, "deny": "not you"}, {"match": {"uid": 0}})
        self.assertEqual(self.target(agent).call(7000), 7000)

    def test_uid_by_name(self):
        agent = self.agent({"match": {"uid": ["nobody", "root"]}, "pids": [[7000, 7999]]})
        target = self.target(agent)
        self.assertEqual(target.call(7000), 7000)
        self.assertEqual(target.call(8000), PERM)

    def test_errors_of_the_call_come_first(self):
        agent = self.agent({"deny": "nobody"})
        target = self.target(agent)
        self.assertEqual(target.call(*[1] * 34), -errno.EINVAL)
        self.assertEqual(target.call(7000), PERM)

    def test_max_children(self):
        agent = self.agent({"max_children": 3})
        target = self.target(agent)
        children = [target.call(pid) for pid in (7000, 7001, 7002)]
        self.assertEqual(children, [7000, 7001, 7002])
        self.assertEqual(target.call(7003), PERM)
        os.kill(7001, signal.SIGKILL)
        self.wait(lambda: procs.get(7001) is None or procs.get(7001).state == "Z", "its end")
        # A zombie is not alive.
        self.assertEqual([target.call(7003), target.call(7004)], [7003, PERM])
        agent.says("3 children are already alive")
        # Another listener has its own limit.
        self.assertEqual(self.target(agent).call(7005), 7005)

    def test_max_children_of_one_program_with_many_threads(self):
        agent = self.agent({"max_children": 5})
        result = agent.shim(harness.PYTHON, "-c", THREADS, "20")
        self.expect(result, 0, out="5 made, 15 refused")

    def test_reload(self):
        agent = self.agent({"pids": [7000]})
        target = self.target(agent)
        self.assertEqual([target.call(7000), target.call(7001)], [7000, PERM])
        self.write({"pids": [7001]})
        agent.child.send_signal(signal.SIGHUP)
        agent.says("was reloaded")
        self.assertEqual([target.call(7001), target.call(7002)], [7001, PERM])
        self.write(text='{\n "rules": [{"pidz": []}]}')
        agent.child.send_signal(signal.SIGHUP)
        agent.says("the policy stays as it was")
        self.assertIn('policy.json:2:19: unknown key "pidz"', agent.err().replace("2:18", "2:19"))
        self.assertEqual(target.call(7002), PERM)
        os.kill(7001, signal.SIGKILL)
        self.assertEqual(agent.end(), 0)

    def test_calls_while_the_file_is_read_again(self):
        agent = self.agent({"pids": [7000]})
        target = self.target(agent)
        os.remove(self.path("policy.json"))
        os.mkfifo(self.path("policy.json"))
        agent.child.send_signal(signal.SIGHUP)
        with self.fifo_in_use(self.path("policy.json")) as writer:
            self.assertEqual([target.call(7000), target.call(7001)], [7000, PERM])
            self.assertEqual(self.target(agent).call(7001), PERM)
            agent.child.send_signal(signal.SIGHUP)
            agent.says("is read again after that")
            json.dump({"rules": [{"pids": [7001]}]}, writer)
        agent.says("was reloaded")
        with self.fifo_in_use(self.path("policy.json")):  # it is read again
            self.assertEqual([target.call(7001), target.call(7000)], [7001, PERM])
            self.assertEqual(agent.end(), 0)
        self.assertNotIn("can't be finished", agent.err())

    def test_broken_at_start_up(self):
        for text, error in (("", "1:"), ("[]", '1:1: not an object with "rules"'),
                            ('{"rules": [{"pids": [[2, 1]]}]}', "ends before it begins"),
                            ('{"rules": [{"deny": "x", "deny": "y"}]}', "appears twice")):
            result = harness.supervise("--listen", self.path("s"), "--policy",
                                       self.write(text=text))
            self.expect(result, 125, err=f"policy.json:{error}" if error[0] == "1" else error)
        result = harness.supervise("--listen", self.path("s"), "--policy", self.path("nosuch"))
        self.expect(result, 125, err="No such file")

    def test_the_example(self):
        agent = Agent(self, "--policy", os.path.join(agents.EXAMPLES, "systemd", "policy.json"))
        self.assertEqual(agent.end(), 0)

    def test_shim(self):
        agent = self.agent({"match": {"metadata": "clone2-shim*"}, "pids": [7000]})
        agent.serves()
        self.assertEqual(harness.calls(agent.shim(harness.CALL, "7001").out), ["EPERM"])

    def test_shim_as_the_documents_have_it(self):
        for document in ("supervisor/man/clone2-policy.5", "examples/systemd/README.md"):
            with open(os.path.join(os.path.dirname(agents.EXAMPLES), document)) as file:
                texts = re.findall(r"(?:`|Dq )(clone2-shim nr=[^` \n]*)", file.read())
            self.assertTrue(texts)
            for number, text in enumerate(texts):
                with self.subTest(document=document, text=text):
                    policy = self.write({"match": {"metadata": text}, "pids": [7000]})
                    agent = Agent(self, "--policy", policy,
                                  name=f"{os.path.basename(document)}{number}")
                    agent.serves()


# This many threads call at once, each once; the children sleep.
THREADS = """
import ctypes, os, signal, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
results, start = [], threading.Barrier(int(sys.argv[1]))
def one():
    start.wait()
    args = struct.pack("QQIIIIQ", signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    pid = libc.syscall(387, args, None)
    if pid == 0:
        while True: signal.pause()
    results.append(pid if pid > 0 else -ctypes.get_errno())
threads = [threading.Thread(target=one) for _ in range(int(sys.argv[1]))]
for t in threads: t.start()
for t in threads: t.join()
made = [r for r in results if r > 0]
for pid in made:
    os.kill(pid, signal.SIGKILL)
print(len(made), "made,", results.count(-1), "refused")
"""

if __name__ == "__main__":
    harness.main()
