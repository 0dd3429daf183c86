# SPDX-License-Identifier: MIT
"""A file whose close(2) waits until its file system is gone: one on FUSE that leaves FLUSH unanswered."""
import ctypes
import os
import signal
import struct
import time

LOOKUP, FORGET, GETATTR, OPEN, RELEASE, FLUSH, INIT, INTERRUPT, BATCH_FORGET = (
    1, 2, 3, 14, 18, 25, 26, 36, 42)
DIRECTORY, FILE = 0o40755, 0o100666
ENOSYS = 38
libc = ctypes.CDLL(None, use_errno=True)


def _attributes(node):
    return struct.pack("QQQQQQ10I", node, 0, 0, 0, 0, 0, 0, 0, 0, DIRECTORY if node == 1 else FILE,
                       1, 0, 0, 0, 4096, 0)


def _answer(opcode, node):
    """The body of an answer; an int: -errno; None: there is no answer."""
    if opcode == INIT:
        return struct.pack("IIIIHHIIHHI28x", 7, 31, 1 << 17, 0, 12, 9, 1 << 17, 1, 32, 0, 0)
    if opcode == LOOKUP:
        return struct.pack("QQQQII", 2, 1, 3600, 3600, 0, 0) + _attributes(2)
    if opcode == GETATTR:
        return struct.pack("QII", 3600, 0, 0) + _attributes(node)
    if opcode == OPEN:
        return struct.pack("QII", 0, 0, 0)
    if opcode == RELEASE:
        return b""
    return None if opcode in (FORGET, BATCH_FORGET, FLUSH, INTERRUPT) else -ENOSYS


def _serve(device):
    while True:
        request = os.read(device, 1 << 18)
        _, opcode, unique, node = struct.unpack("IIQQ", request[:24])
        answer = _answer(opcode, node)
        if answer is None:
            continue
        error = answer if isinstance(answer, int) else 0
        body = b"" if isinstance(answer, int) else answer
        os.write(device, struct.pack("IiQ", 16 + len(body), error, unique) + body)


class HangingFiles:
    """The file system; end() ends the waits."""

    def __init__(self, case):
        self.path = case.path("fuse")
        os.mkdir(self.path)
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if libc.mount(b"hanging", self.path.encode(), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount(fuse)")
        self.server = os.fork()
        if self.server == 0:
            try:
                _serve(device)
            finally:
                os._exit(1)
        os.close(device)
        case.addCleanup(self.unmount)

    def open(self):
        return os.open(os.path.join(self.path, "file"), os.O_RDWR | os.O_CLOEXEC)

    def open_apart(self, use):
        """Has a process of its own use it: whoever closes it hangs, and so would each child that
        the test starts."""
        if os.fork() == 0:
            fd = self.open()
            while True:
                try:
                    use(fd)
                    signal.pause()
                except OSError:  # too many descriptors of this user are on their way (ETOOMANYREFS)
                    time.sleep(0.05)

    def end(self):
        os.kill(self.server, 9)
        os.waitpid(self.server, 0)

    def unmount(self):
        libc.umount2(self.path.encode(), 2)  # MNT_DETACH
