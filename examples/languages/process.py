# SPDX-License-Identifier: MIT
"""python3 process.py [PID...]: ctypes; with several pids, a thread for each."""
import ctypes
import os
import signal
import sys
import threading

# PyDLL keeps the interpreter's lock, so that the child, a copy of this thread alone, owns it.
libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
sys.setswitchinterval(1000)  # the child must not wait for another thread


def clone2(pid):
    args = (ctypes.c_uint64 * 5)(signal.SIGCHLD, 0, 1)  # flags, child_stack, nr_pids
    return libc.syscall(ctypes.c_long(387), args, (ctypes.c_int * 1)(pid))


def create(pid):
    child = clone2(pid)
    if child == 0:
        line = b"child: my pid is %d\n" % os.getpid()
        # Unlike os.write(), this keeps the lock. To release it is to wake threads that the child
        # does not have, and may wait for them forever.
        libc.write(1, line, len(line))
        os._exit(0)
    if child < 0:
        raise OSError(ctypes.get_errno(), "clone2")
    os.waitpid(child, 0)
    os.write(1, b"parent: the child's pid was %d\n" % child)


threads = [threading.Thread(target=create, args=(int(pid),)) for pid in sys.argv[1:] or ["7000"]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
