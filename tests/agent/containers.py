# SPDX-License-Identifier: MIT
"""The containers and sandboxes of the examples, as the tests run them."""
import glob
import os
import resource
import subprocess
import sys
import tarfile
import tempfile

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


def prepare_pod_mounts():
    """The same for Podman, whose pods need cgroups: with v1 and v2 side by side, v1 only. It can do
    without the device filter of v2, which needs CAP_SYS_RESOURCE."""
    if os.path.ismount("/sys/fs/cgroup/unified"):
        subprocess.run(["umount", "-l", "/sys/fs/cgroup/unified"], check=True)


def remove_cgroups():
    """Removes what Podman has left empty. For when all its processes have ended."""
    for path in sorted(glob.glob("/sys/fs/cgroup/**/libpod_parent/**/", recursive=True),
                       reverse=True):
        try:
            os.rmdir(path)
        except OSError:  # in use
            pass


class Podman:
    """Podman with crun and storage of its own, and images that are made here."""

    IMAGE = "localhost/busybox:1"
    CONFIG = """[containers]
default_ulimits = [{limits}]
netns = "none"
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "{directory}/tmp"
"""

    def __init__(self, case):
        self.case = case
        # Its defaults are higher than root may set everywhere.
        limits = [f'"{name}={hard}:{hard}"' for name, hard in (
            ("nofile", resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
            ("nproc", resource.getrlimit(resource.RLIMIT_NPROC)[1]))]
        with open(case.path("containers.conf"), "w") as file:
            file.write(self.CONFIG.format(limits=", ".join(limits), directory=case.tmp))
        case.addCleanup(self.end)
        self.image(self.IMAGE, {})
        # Whether this machine can run any container is not our matter.
        result = self.run("run", "--rm", self.IMAGE, "true")
        case.need("podman", result.status == 0, result.err)

    def end(self):
        self.run("pod", "rm", "--all", "--force", "--time", "0")
        self.run("rm", "--all", "--force", "--time", "0")
        subprocess.run(["umount", "--recursive", "--lazy", self.case.path("storage")], check=False,
                       stderr=subprocess.DEVNULL)

    def run(self, *words):
        return harness.run(["podman", "--root", self.case.path("storage"), "--runroot",
                            self.case.path("run"), "--storage-driver=vfs", *words],
                           env={**os.environ, "CONTAINERS_CONF": self.case.path("containers.conf")})

    def image(self, name, files):
        """Makes an image of busybox and these files: {path in it: host's file}."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            with tarfile.open(archive.name, "w", dereference=True) as tar:
                tar.add("/bin/busybox", "bin/busybox")
                for command in ("sh", "true", "cat", "cp", "echo"):
                    link = tarfile.TarInfo(f"bin/{command}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tar.addfile(link)
                for path, source in files.items():
                    tar.add(source, path.lstrip("/"))
            result = self.run("import", "--change", "ENV=PATH=/usr/local/bin:/bin", archive.name, name)
        self.case.need("podman", result.status == 0, result.err)
