# SPDX-License-Identifier: MIT
"""conformance.py shim|bubblewrap|crun-shim|crun-listener|runc-shim [--nr=N] [ARG...]: runs the
conformance suite, with ARGs, served by an agent, in its own pid and mount namespace. The exit status
is the suite's. --nr is clone2-shim's."""
import os
import signal
import subprocess
import sys
import tempfile

import agents
import containers
import harness


def command(way, directory, socket, suite):
    numbers = [word for word in sys.argv[2:] if word.startswith("--nr=")]
    program = [suite, *(word for word in sys.argv[2:] if word not in numbers), "all"]
    if way == "shim":
        return [agents.SHIM, "--socket", socket, *numbers, "--", *program]
    if way == "bubblewrap":
        # As root, so that the suite has the users and namespaces it needs.
        return ["bwrap", "--unshare-pid", "--cap-add", "ALL", "--bind", "/", "/", "--dev-bind",
                "/dev", "/dev", "--proc", "/proc", "--bind", directory, directory, "--",
                agents.SHIM, "--socket", socket, "--", *program]
    containers.prepare_mounts()
    program[0] = "/" + os.path.basename(suite)
    runtime, way = way.split("-")
    return containers.bundle(os.path.join(directory, "bundle"), way, socket, *program,
                             binds=[suite], all_capabilities=True, runtime=runtime)


def main():
    way = sys.argv[1]
    if os.environ.get("CLONE2_TEST_NAMESPACE") != "1":
        os.environ["CLONE2_TEST_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--pid", "--mount", "--fork", "--kill-child",
                              "--mount-proc", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory(prefix="clone2-conf.") as directory:
        socket = os.path.join(directory, "agent.sock")
        agent = subprocess.Popen([harness.SUPERVISE, "--listen", socket], stdin=subprocess.DEVNULL)
        if not agents.procs.wait_for(lambda: harness.accepts(socket), 60):
            sys.exit("the agent did not start")
        status = subprocess.run(command(way, directory, socket, harness.CONFORMANCE_STATIC),
                                stdin=subprocess.DEVNULL).returncode
        agent.send_signal(signal.SIGTERM)
        ended = agent.wait(60)
    print(f"{way}: status {status}, the agent's {ended}", flush=True)
    sys.exit(status if ended == 0 else 1)


if __name__ == "__main__":
    main()
