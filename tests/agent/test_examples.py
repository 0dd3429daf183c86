# SPDX-License-Identifier: MIT
"""The examples, with the real programs: bubblewrap, crun, runc, systemd's own checks, YAML."""
import json
import os
import re
import struct
import subprocess

import agents
import containers
import harness
from agents import Agent, EXAMPLES


def own_mounts():
    """Gives this process its own mount namespace, which can be set up for the runtimes."""
    assert agents.libc.unshare(0x00020000) == 0  # CLONE_NEWNS
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    containers.prepare_mounts()


class Bubblewrap(harness.Case):
    def run_example(self, name, *program, **env):
        return harness.run(["sh", os.path.join(EXAMPLES, "bubblewrap", name), *program],
                           env={**os.environ, **env})

    def setUp(self):
        super().setUp()
        self.need_command("bwrap")

    def test_around(self):
        result = self.run_example("around.sh", harness.CALL, "77",
                                  CLONE2_SUPERVISE=harness.SUPERVISE)
        self.expect(result, 0, out="pid 77 status 0")

    def test_inside(self):
        agent = Agent(self)
        result = self.run_example("inside.sh", harness.CALL, "77", CLONE2_SOCKET=agent.path,
                                  CLONE2_LAUNCHER=agents.SHIM)
        self.expect(result, 0, out="pid 77 status 0")

    def readme(self):
        """The two commands of the README, with the test's program and socket."""
        with open(os.path.join(EXAMPLES, "bubblewrap", "README.md")) as file:
            blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.S)
        around, inside = blocks[0], blocks[1].split("&\n")[1]
        self.assertIn("clone2-supervise --listen", blocks[1])
        os.mkdir(self.path("agent"))
        inside = inside.replace("/run/clone2-supervise", self.path("agent"))
        return [text.replace(" prog", f" {self.public_copy(harness.CALL)} 77")
                .replace("clone2-supervise -", self.public_copy(harness.SUPERVISE) + " -")
                .replace("clone2-shim", self.public_copy(agents.SHIM) + " --socket " +
                         self.path("agent/agent.sock")) for text in (around, inside)]

    def test_the_lines_of_the_readme(self):
        self.need_root()
        commands = self.readme()
        Agent(self, "--allow-uid", str(harness.NOBODY), path=self.path("agent/agent.sock"))
        user = ["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups"]
        kept = "--unshare-user --uid 0 --cap-add CAP_SYS_ADMIN"
        with open(os.path.join(EXAMPLES, "bubblewrap", "README.md")) as file:
            self.assertIn(f"`{kept}`", file.read())
        for command in commands:
            with self.subTest(command):
                self.expect(harness.run(["sh", "-c", command]), 0, out="pid 77 status 0")
                result = harness.run([*user, "sh", "-c", command], cwd="/")
                self.assertEqual(harness.calls(result.out), ["EPERM"], result)
                command = command.replace("bwrap", "bwrap " + kept)
                result = harness.run([*user, "sh", "-c", command], cwd="/")
                self.expect(result, 0, out="pid 77 status 0")
        dropped = commands[0].replace("bwrap", "bwrap --cap-drop ALL")
        result = harness.run(["sh", "-c", dropped])
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)

    def test_inside_a_sandbox_with_a_filter(self):
        # The sandbox's filter answers ERRNO for unknown numbers: that wins, and --check reports it.
        agent = Agent(self)
        steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 387), (0x06, 0, 0, 0x00050001),
                 (0x06, 0, 0, 0x7fff0000)]
        with open(self.path("filter"), "wb") as file:
            file.write(b"".join(struct.pack("HBBI", *step) for step in steps))
        bwrap = ["bwrap", "--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--seccomp", "3"]
        command = ["sh", "-c", f'exec "$@" 3<{self.path("filter")}', "sh", *bwrap]
        result = harness.run([*command, agents.SHIM, "--socket", agent.path, harness.CALL, "77"])
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)
        result = harness.run([*command, harness.SUPERVISE, "--check=number"])
        self.expect(result, 1, out="refused by another filter, with EPERM")


class Runtime(harness.Case):
    """Shared by the tests of OCI runtimes, which differ in what a profile can ask for."""
    runtime = None

    def setUp(self):
        super().setUp()
        self.need_command(self.runtime)
        self.need_root()
        self.agent = Agent(self, "--log", self.path("log"))

    def run_bundle(self, way, *program, change=None):
        directory = self.path(f"bundle-{self.id().rsplit('.', 1)[-1]}-{way}")
        command = containers.bundle(directory, way, self.agent.path, *program,
                                    binds=[harness.CALL_STATIC], runtime=self.runtime)
        if change:
            with open(f"{directory}/config.json") as file:
                config = json.load(file)
            change(config)
            with open(f"{directory}/config.json", "w") as file:
                json.dump(config, file)
        return harness.run(command, preexec_fn=own_mounts)

    @staticmethod
    def notify_mkdir(config):
        config["annotations"] = {}
        config["linux"]["seccomp"]["flags"] = []
        config["linux"]["seccomp"]["syscalls"] = [{"names": ["mkdir"],
                                                   "action": "SCMP_ACT_NOTIFY"}]

    def foreign_notifications(self):
        result = self.run_bundle("listener", "sh", "-c", "busybox mkdir /tmp/x || echo failed",
                                 change=self.notify_mkdir)
        self.expect(result, 0, out="failed")
        self.agent.says("system call 83 is not 387")
        self.agent.says('container "clone2-test-')


class Crun(Runtime):
    runtime = "crun"
    CALL = ("/clone2-call-static", "77")

    def test_shim(self):
        self.expect(self.run_bundle("shim", *self.CALL), 0, out="pid 77 status 0")

    def test_listener(self):
        self.expect(self.run_bundle("listener", *self.CALL), 0, out="pid 77 status 0")
        self.agent.says('container "clone2-test-')

    def test_the_lines_of_the_readme(self):
        self.need_file("clone2_hello", os.path.join(harness.BUILD, "examples/clone2_hello"))
        with open(os.path.join(EXAMPLES, "crun", "README.md")) as file:
            block = re.search(r"```sh\n(.*?)```", file.read(), re.S).group(1)
        block = block.replace("/tmp/b", self.path("b"))
        agent, *lines = block.replace("build/", harness.BUILD + "/").splitlines()
        # In mounts of its own, where /run is empty.
        script = "mount -t tmpfs none /run\n" + agent + "\n" + \
                 f"until {agents.SHIM} --check=agent >/dev/null; do sleep 0.1; done\n" + \
                 "\n".join(lines) + "\nstatus=$?; kill $!; exit $status\n"
        result = harness.run(["sh", "-c", script], preexec_fn=own_mounts,
                             cwd=os.path.dirname(os.path.normpath(EXAMPLES)))
        self.expect(result, 0, out="the child had the pids that were asked for")

    def test_annotation_in_place_of_listener_path(self):
        def change(config):
            del config["linux"]["seccomp"]
            config["annotations"]["run.oci.seccomp.receiver"] = self.agent.path
        self.expect(self.run_bundle("listener", *self.CALL, change=change), 0, out="pid 77 status 0")

    def test_policy_sees_the_container(self):
        with open(self.path("policy"), "w") as file:
            json.dump({"rules": [{"match": {"metadata": "clone2", "annotations": {"a": "b"}},
                                  "pids": [77]}]}, file)
        self.agent.end()
        self.agent = Agent(self, "--policy", self.path("policy"), name="second")

        def change(config):
            config["annotations"]["a"] = "b"
        self.expect(self.run_bundle("listener", *self.CALL, change=change), 0, out="pid 77 status 0")
        result = self.run_bundle("listener", "/clone2-call-static", "78", change=change)
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)

    def test_create_and_start(self):
        # The runtime connects when the container is created; the program runs when it is started.
        directory = self.path("bundle")
        command = containers.bundle(directory, "listener", self.agent.path, *self.CALL,
                                    binds=[harness.CALL_STATIC])
        name = command[-1]
        start = " ".join(["crun", "--root", command[2], "start", name])
        create = " ".join(word if word != "run" else "create" for word in command)
        script = f"{create} >{self.path('out')} && sleep 1 && {start} && sleep 1"
        self.expect(harness.run(["sh", "-c", script], preexec_fn=own_mounts), 0)
        self.wait(lambda: "status" in self.read("out"), "the program's output")
        self.assertEqual(self.read("out"), "pid 77 status 0\n")

    def test_names_do_not_work(self):
        # If this begins to work, examples/crun/README.md must say so.
        for name in ("clone2", "387"):
            def change(config):
                config["annotations"] = {}
                config["linux"]["seccomp"]["syscalls"] = [{"names": [name],
                                                           "action": "SCMP_ACT_NOTIFY"}]
            result = self.run_bundle("listener", *self.CALL, change=change)
            self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)

    def test_profile_without_the_number(self):
        # Like the usual profiles: an allow list, everything else gives EPERM.
        def change(config):
            config["linux"]["seccomp"] = {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
        result = self.run_bundle("shim", *self.CALL, change=change)
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)

    def test_foreign_notifications(self):
        self.foreign_notifications()


class Runc(Runtime):
    runtime = "runc"

    def test_shim(self):
        self.expect(self.run_bundle("shim", "/clone2-call-static", "77"), 0, out="pid 77 status 0")

    def test_foreign_notifications(self):
        # runc takes no raw filter, so its listenerPath can do no more than this for us. It sends
        # its message when the container's first process is already running.
        self.foreign_notifications()


class Systemd(harness.Case):
    UNITS = os.path.join(os.path.dirname(harness.SUPERVISE), "systemd")
    SERVICE = os.path.join(UNITS, "clone2-supervise.service")
    SOCKET = os.path.join(UNITS, "clone2-supervise.socket")

    def test_units_are_valid(self):
        self.need_command("systemd-analyze")
        result = harness.run(["systemd-analyze", "verify", "--man=no", self.SERVICE, self.SOCKET])
        wrong = [line for line in result.err.splitlines()
                 # It is not installed here.
                 if "is not executable: No such file or directory" not in line]
        self.assertEqual(wrong, [], result)

    def test_capabilities_are_enough(self):
        self.need_root()
        with open(self.SERVICE) as file:
            service = file.read()
        names = re.search(r"^CapabilityBoundingSet=(.*)$", service, re.M).group(1).split()
        kept = ",".join("+" + name.removeprefix("CAP_").lower() for name in names)
        path = self.path("agent.sock")
        child = self.start("setpriv", "--no-new-privs", f"--bounding-set=-all,{kept}",
                           harness.SUPERVISE, "--listen", path, "--allow-uid",
                           str(harness.NOBODY))
        self.wait(lambda: harness.accepts(path), "the agent")
        shim, call = self.public_copy(agents.SHIM), self.public_copy(harness.CALL)
        for words in ([], ["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups"],
                      ["unshare", "--user", "--map-root-user", "--pid", "--fork"]):
            pid = [] if "setpriv" in words else ["77"]
            result = harness.run([*words, shim, "--socket", path, call, *pid], cwd="/")
            self.expect(result, 0, out="pid ")
        child.terminate()
        self.assertEqual(self.finish(child), 0)


class Kubernetes(harness.Case):
    def test_manifests(self):
        # The system's Python, because python3-yaml is installed for it.
        convert = ("import json, sys, yaml; "
                   "print(json.dumps([d for f in sys.argv[1:] for d in yaml.safe_load_all(open(f))]))")
        result = harness.run(["/usr/bin/python3", "-c", convert,
                              *(os.path.join(EXAMPLES, "kubernetes", name)
                                for name in ("agent.yaml", "pod.yaml"))])
        self.expect(result, 0)
        documents = json.loads(result.out)
        self.assertEqual([d["kind"] for d in documents], ["Namespace", "DaemonSet", "Pod"])
        for document in documents:
            self.assertIn("apiVersion", document)
            self.assertIn("name", document["metadata"])
        daemon = documents[1]["spec"]
        self.assertEqual(daemon["selector"]["matchLabels"],
                         daemon["template"]["metadata"]["labels"])
        self.assertIs(daemon["template"]["spec"]["hostPID"], True)
        for spec in (daemon["template"]["spec"], documents[2]["spec"]):
            volumes = {volume["name"] for volume in spec["volumes"]}
            for container in spec["containers"] + spec.get("initContainers", []):
                used = {mount["name"] for mount in container["volumeMounts"]}
                self.assertLessEqual(used, volumes)


if __name__ == "__main__":
    harness.main()
