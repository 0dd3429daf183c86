#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bundle.py [options] DIR listener|shim [--] PROGRAM [ARG...]

Makes an OCI bundle in DIR (config.json and a root file system of busybox-static) whose PROGRAM
has clone2, served by an agent on the host:

  listener  crun installs the filter and hands its listener to the agent (listenerPath)
  shim      the container runs clone2-shim, which does the same from inside

Then: crun run --bundle DIR NAME. Options:
  --socket PATH      the agent's socket on the host (/run/clone2-supervise/agent.sock)
  --supervise FILE   clone2-supervise, which prints the filter (for "listener")
  --shim FILE        clone2-shim, which is mounted into the container (for "shim")
                     (both: that in $PATH, or what this source tree has built)
  --bind FILE        a program of the host, mounted at / in the container under its own name, with
                     the libraries that it needs
"""
import argparse
import json
import os
import shutil
import subprocess

# What restoring processes needs: pids are chosen in the container's own pid namespace, which the
# container's user namespace owns.
CAPABILITIES = ["CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"]
ALL = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
       "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_ADMIN", "CAP_NET_RAW",
       "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN",
       "CAP_SYS_NICE", "CAP_SETFCAP", "CAP_MKNOD", "CAP_CHECKPOINT_RESTORE"]


def mount(destination, kind, source, *options):
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def bind(source, destination, *options):
    return mount(destination, "none", os.path.abspath(source), "bind", *options)


def libraries(program):
    """The files that a dynamic program needs to start."""
    found = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    words = found.stdout.split() if found.returncode == 0 else []
    return [word for word in words if word.startswith("/")]


def find(name, folder):
    """A program of this project: the installed one, or the one built here."""
    built = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build", folder, name)
    return shutil.which(name) or os.path.normpath(built)


def config(options):
    capabilities = ALL if options.all_capabilities else CAPABILITIES
    sets = ("bounding", "effective", "permitted")
    made = {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": options.program, "cwd": "/",
                    "env": ["PATH=/bin:/"], "noNewPrivileges": True,
                    "capabilities": {name: capabilities for name in sets}},
        "root": {"path": "rootfs"},
        "hostname": "clone2",
        "mounts": [mount("/proc", "proc", "proc"),
                   mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755"),
                   mount("/tmp", "tmpfs", "tmpfs", "mode=1777")],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "ipc", "uts", "mount")]},
    }
    for file in options.bind:
        made["mounts"].append(bind(file, "/" + os.path.basename(file), "ro"))
    for file in sorted({library for file in options.bind for library in libraries(file)}):
        made["mounts"].append(bind(file, file, "ro"))
    if options.way == "listener":
        bpf = subprocess.check_output([options.supervise, "--print-bpf=base64"], text=True)
        # No profile can list clone2, because libseccomp has no name for it. So the filter is passed
        # raw.
        made["annotations"] = {"run.oci.seccomp_bpf_data": bpf.strip()}
        made["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",  # required, but ignored here
            "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
            "listenerPath": os.path.abspath(options.socket),
            "listenerMetadata": "clone2",
        }
    else:
        # The directory, not the socket, because a restarted agent creates a new socket in it.
        directory = os.path.dirname(os.path.abspath(options.socket))
        made["mounts"] += [bind(directory, "/run/clone2-supervise", "ro", "nosuid", "nodev"),
                           bind(options.shim, "/clone2-shim", "ro")]
        made["process"]["env"].append("CLONE2_SOCKET=/run/clone2-supervise/"
                                      + os.path.basename(options.socket))
        made["process"]["args"] = ["/clone2-shim", "--", *options.program]
    return made


def make_root(root):
    for name in ("bin", "proc", "dev", "tmp", "run/clone2-supervise"):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    shutil.copy("/bin/busybox", os.path.join(root, "bin", "busybox"))
    for name in ("sh", "ls", "cat", "sleep", "echo", "id"):
        link = os.path.join(root, "bin", name)
        if not os.path.lexists(link):
            os.symlink("busybox", link)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--socket", default="/run/clone2-supervise/agent.sock")
    parser.add_argument("--supervise", default=find("clone2-supervise", "supervisor"))
    parser.add_argument("--shim", default=find("clone2-shim", "shim/launcher"))
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("--all-capabilities", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("dir")
    parser.add_argument("way", choices=("listener", "shim"))
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    for file in ("/bin/busybox", *options.bind,
                 options.shim if options.way == "shim" else options.supervise):
        if not os.access(file, os.X_OK):
            parser.exit(1, f"bundle.py: {file}: not there, or not executable\n")
    make_root(os.path.join(options.dir, "rootfs"))
    with open(os.path.join(options.dir, "config.json"), "w") as file:
        json.dump(config(options), file, indent=1)


if __name__ == "__main__":
    main()
