# SPDX-License-Identifier: MIT
"""The containers and sandboxes of the examples, as the tests run them."""
import os
import subprocess
import sys

import agents
import harness

CRUN = "crun"


def prepare_crun():
    """What crun needs of this mount namespace, which is the test's own: one kind of cgroups. With
    cgroup v1 and v2 side by side it does not start; the container is put into no group anyway."""
    if not os.path.isdir("/sys/fs/cgroup/unified"):
        return
    subprocess.run(["umount", "-l", "/sys/fs/cgroup"], check=True)
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)


def bundle(directory, way, socket, *program, binds=(), all_capabilities=False):
    """Makes a bundle as the example does; the command that runs it."""
    words = [sys.executable, os.path.join(agents.EXAMPLES, "crun", "bundle.py"),
             "--socket", socket, "--supervise", harness.SUPERVISE, "--shim", agents.SHIM]
    for file in binds:
        words += ["--bind", file]
    if all_capabilities:
        words += ["--all-capabilities"]
    subprocess.run([*words, directory, way, "--", *program], check=True)
    return run_bundle(directory)


def run_bundle(directory):
    name = f"clone2-test-{os.getpid()}-{os.path.basename(directory)}"
    return [CRUN, "--root", directory + ".state", "--cgroup-manager=disabled", "run",
            "--bundle", directory, name]
