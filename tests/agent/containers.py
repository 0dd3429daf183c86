# SPDX-License-Identifier: MIT
"""The containers and sandboxes of the examples, as the tests run them."""
import os
import subprocess
import sys

import agents
import harness


def prepare_mounts():
    """Sets up the test's own mount namespace for the runtimes: one cgroup version only. With v1 and
    v2 side by side crun does not start."""
    if not os.path.isdir("/sys/fs/cgroup/unified"):
        return
    subprocess.run(["umount", "-l", "/sys/fs/cgroup"], check=True)
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)


def bundle(directory, way, socket, *program, binds=(), all_capabilities=False, runtime="crun"):
    """Makes a bundle as the example does; returns the command that runs it."""
    words = [sys.executable, os.path.join(agents.EXAMPLES, "crun", "bundle.py"),
             "--socket", socket, "--supervise", harness.SUPERVISE, "--shim", agents.SHIM]
    for file in binds:
        words += ["--bind", file]
    if all_capabilities:
        words += ["--all-capabilities"]
    subprocess.run([*words, directory, way, "--", *program], check=True)
    name = f"clone2-test-{os.getpid()}-{os.path.basename(directory)}"
    options = ["--cgroup-manager=disabled"] if runtime == "crun" else []
    return [runtime, "--root", directory + ".state", *options, "run", "--bundle", directory, name]
