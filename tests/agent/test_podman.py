# SPDX-License-Identifier: MIT
"""Podman with crun: an agent on the host serves containers, and the pod of the example."""
import json
import os
import re
import subprocess

import agents
import containers
import harness
from agents import Agent, EXAMPLES

DEFAULT_PROFILE = "/usr/share/containers/seccomp.json"
CALL = ("--cap-add", "CHECKPOINT_RESTORE", "-v", f"{harness.CALL_STATIC}:/call:ro")


class Case(harness.Case):
    def setUp(self):
        self.addCleanup(containers.remove_cgroups)  # the last of all
        super().setUp()
        for command in ("podman", "crun"):
            self.need_command(command)
        self.need_root()
        containers.prepare_pod_mounts()
        self.podman = containers.Podman(self)

    def run_call(self, *options, program=("/call", "77")):
        return self.podman.run("run", "--rm", *CALL, *options, self.podman.IMAGE, *program)

    def profile(self, **members):
        with open(self.path("profile.json"), "w") as file:
            json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [], **members}, file)
        return self.path("profile.json")


class Listener(Case):
    """crun hands the listener to the agent."""

    def setUp(self):
        super().setUp()
        self.agent = Agent(self, "--log", "-")
        bpf = self.expect(harness.supervise("--print-bpf=base64"), 0).out.strip()
        self.filter = ("--annotation", f"run.oci.seccomp_bpf_data={bpf}")

    def served(self, *options):
        self.expect(self.run_call(*self.filter, *options), 0, out="pid 77 status 0")
        self.wait(lambda: re.search(r'peer="[0-9a-f]{64}".* = 77 ', self.agent.err()),
                  "a line in the log")

    def test_by_profile(self):
        self.served("--security-opt", "seccomp=" + self.profile(listenerPath=self.agent.path))

    def test_by_annotation(self):
        for profile in (DEFAULT_PROFILE, "unconfined"):
            with self.subTest(profile=profile):
                self.served("--annotation", f"run.oci.seccomp.receiver={self.agent.path}",
                            "--security-opt", f"seccomp={profile}")

    def test_metadata_of_the_profile(self):
        with open(self.path("policy"), "w") as file:
            json.dump({"rules": [{"match": {"metadata": "web"}, "pids": [77]}]}, file)
        self.agent.end()
        self.agent = Agent(self, "--policy", self.path("policy"), "--log", "-", name="second")
        profile = self.profile(listenerPath=self.agent.path, listenerMetadata="web")
        self.served("--security-opt", f"seccomp={profile}")
        result = self.run_call(*self.filter, "--security-opt", f"seccomp={profile}",
                               program=("/call", "78"))
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)


class Shim(Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("agent"))
        self.agent = Agent(self, path=self.path("agent/agent.sock"))
        self.mounts = ("-v", self.path("agent") + ":/run/clone2-supervise:ro",
                       "-v", f"{agents.SHIM}:/clone2-shim:ro")

    def run_shim(self, *words, options=()):
        return self.run_call(*self.mounts, *options, program=("/clone2-shim", *words))

    def open_profile(self):
        """The default profile, made to allow what it does not name, as the README does it."""
        with open(os.path.join(EXAMPLES, "crun", "README.md")) as file:
            recipe = re.search(r"^(sed .*)profile\.json$", file.read(), re.M).group(1)
        subprocess.run(["sh", "-c", recipe + self.path("profile.json")], check=True)
        return ("--security-opt", "seccomp=" + self.path("profile.json"))

    def test_profile_that_allows_the_number(self):
        profile = self.open_profile()
        result = self.run_shim("--require", "--", "/call", "77", options=profile)
        self.expect(result, 0, out="pid 77 status 0")
        self.assertEqual(result.err, "")
        self.expect(self.run_shim("--check", options=profile), 0, out="387 reaches our filter")
        # It denies what it names.
        result = self.run_shim("--check=notification",
                               options=("--security-opt", "seccomp=" + self.profile(
                                   syscalls=[{"names": ["seccomp"], "action": "SCMP_ACT_ERRNO",
                                              "errnoRet": 1}])))
        self.expect(result, 1, out="a filter of this sandbox forbids it")

    def test_default_profile(self):
        result = self.run_shim("--", "/call", "77")
        self.assertIn("a stricter filter of this sandbox refuses clone2's number", result.err)
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)
        self.agent.says("a stricter filter of its sandbox refuses clone2's number")
        result = self.run_shim("--require", "--", "/call", "77")
        self.expect(result, 125)
        self.assertEqual(result.out, "")
        result = self.run_shim("--check")
        self.expect(result, 1, out="387 is refused by another filter, with ENOSYS")
        self.assertRegex(result.out, r"(?m)^agent +yes")

    def test_user_namespace(self):
        # Root of the container is another user outside.
        maps = ("--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000", *self.open_profile())
        os.chmod(self.path("agent"), 0o755)
        self.expect(self.run_shim("--check=agent", options=maps), 1, out="--allow-uid")
        self.agent.end()
        self.agent = Agent(self, "--allow-uid", "100000", path=self.agent.path, name="second")
        self.expect(self.run_shim("--", "/call", "77", options=maps), 0, out="pid 77 status 0")


class Kube(Case):
    """podman kube play with the example for Kubernetes."""
    PROGRAM = '#!/bin/sh\necho "images in $1"\nexec clone2-call 77\n'

    def setUp(self):
        super().setUp()
        self.need_command("catatonit")
        # Where the pod mounts it from, in the test's own mount namespace.
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", "/run"], check=True)
        os.mkdir("/run/clone2-supervise")

    @staticmethod
    def example(name):
        return os.path.join(EXAMPLES, "kubernetes", name)

    def example_text(self, name):
        with open(self.example(name)) as file:
            return file.read()

    def play(self, *files):
        return self.podman.run("kube", "play", "--network", "none", *files)

    def logs(self, container):
        """What it has printed, when it has ended."""
        self.podman.run("wait", container)
        result = self.podman.run("logs", container)
        return result.out + result.err

    def pod_images(self, more=None):
        with open(self.path("restore"), "w") as file:
            file.write(self.PROGRAM)
        os.chmod(self.path("restore"), 0o755)
        self.podman.image("registry.example/clone2-supervise:1.0.0",
                          {"/usr/local/bin/clone2-shim": agents.SHIM, **(more or {})})
        self.podman.image("registry.example/restore:1",
                          {"/usr/local/bin/restore": self.path("restore"),
                           "/usr/local/bin/clone2-call": harness.CALL_STATIC})

    def test_pod(self):
        agent = Agent(self, path="/run/clone2-supervise/agent.sock")
        self.pod_images()
        self.expect(self.play(self.example("pod.yaml")), 0)
        self.assertEqual(self.logs("restore-main"), "images in /images\npid 77 status 0\n",
                         agent.err())

    def test_agent(self):
        # kube play plays neither a DaemonSet nor hostPID, so this gives the agent by hand what the
        # manifest asks for.
        text = self.example_text("agent.yaml")
        for asked in ("hostPID: true", "readOnlyRootFilesystem: true", "drop: [ALL]",
                      "allowPrivilegeEscalation: false", "type: Unconfined"):
            self.assertIn(asked, text)
        added = re.search(r"add: \[(.*)\]", text).group(1).split(", ")
        command = re.search(r"command: \[(.*)\]", text).group(1).split(", ")
        needed = self.expect(harness.run(["ldd", harness.SUPERVISE])).out
        libraries = {file: file for file in re.findall(r"(/\S+)", needed)}
        self.pod_images({"/usr/local/bin/clone2-supervise": harness.SUPERVISE, **libraries})
        started = self.podman.run(
            "run", "--detach", "--name", "agent", "--pid=host", "--read-only", "--cap-drop=all",
            *(f"--cap-add={name}" for name in added), "--security-opt=no-new-privileges",
            "--security-opt=seccomp=unconfined", "-v", "/run/clone2-supervise:/run/clone2-supervise",
            "registry.example/clone2-supervise:1.0.0", *command)
        self.expect(started, 0)
        self.wait(lambda: harness.accepts("/run/clone2-supervise/agent.sock"), "the agent")
        self.expect(self.play(self.example("pod.yaml")), 0)
        self.assertEqual(self.logs("restore-main"), "images in /images\npid 77 status 0\n",
                         self.podman.run("logs", "agent").err)

    def test_what_is_not_played(self):
        # If these begin to work, examples/kubernetes/README.md must say so.
        self.pod_images()
        self.expect(self.play(self.example("agent.yaml")), 125,
                    err="does not contain any supported kube kind")
        with open(self.path("pod.yaml"), "w") as file:
            file.write(re.sub(r"(?m)^  annotations:\n.*\n.*unconfined\n", "",
                              self.example_text("pod.yaml")))
        self.assertNotIn("annotations", self.read("pod.yaml"))
        agent = Agent(self, path="/run/clone2-supervise/agent.sock")
        self.expect(self.play(self.path("pod.yaml")), 0)
        self.assertIn("a stricter filter", self.logs("restore-main"))
        agent.says("a stricter filter of its sandbox")


if __name__ == "__main__":
    harness.main()
