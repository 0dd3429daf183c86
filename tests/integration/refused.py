# SPDX-License-Identifier: MIT
"""The system calls made at start-up, for tests that refuse them one by one."""
import errno

import harness

# x86-64. Everything that strace shows from exec until a first clone2 call has completed, in any of
# the wrapper, its --pidns, --check, the agent and clone2-shim.
CALLS = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
    "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "ioctl": 16, "pread64": 17,
    "pwrite64": 18, "access": 21, "madvise": 28, "dup2": 33, "getpid": 39, "socket": 41,
    "connect": 42, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48,
    "bind": 49, "listen": 50, "socketpair": 53, "setsockopt": 54, "getsockopt": 55, "clone": 56,
    "wait4": 61, "kill": 62, "fcntl": 72, "flock": 73, "chdir": 80, "unlink": 87, "readlink": 89,
    "chmod": 90, "umask": 95, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
    "ptrace": 101, "setsid": 112, "capget": 125, "prctl": 157, "arch_prctl": 158, "mount": 165,
    "gettid": 186, "getdents64": 217, "set_tid_address": 218, "timer_create": 222,
    "timer_settime": 223, "timer_delete": 226, "clock_nanosleep": 230, "epoll_wait": 232,
    "epoll_ctl": 233, "waitid": 247, "openat": 257, "newfstatat": 262, "readlinkat": 267,
    "ppoll": 271, "unshare": 272, "set_robust_list": 273, "timerfd_create": 283, "timerfd_settime": 286,
    "accept4": 288, "signalfd4": 289, "eventfd2": 290, "epoll_create1": 291, "pipe2": 293,
    "prlimit64": 302, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "seccomp": 317, "getrandom": 318, "memfd_create": 319, "execveat": 322, "statx": 332,
    "rseq": 334, "pidfd_open": 434, "clone3": 435, "close_range": 436, "io_uring_setup": 425,
    "io_uring_enter": 426,
}
# How a message names a call if not by its own name.
SPOKEN = {"rt_sigaction": "sigaction", "rt_sigprocmask": "sigprocmask", "clone": "fork",
          "signalfd4": "signalfd", "readlinkat": "readlink", "accept4": "accept",
          "unshare": "new namespaces", "mount": "mounts private"}
# Without these no dynamic program starts; the C library itself ends it.
LOADER = ("read", "close", "mmap", "mprotect", "pread64", "arch_prctl", "openat", "newfstatat")
# A thread can't end without exit (60), and nothing could be done about it. Without futex (202) the
# C library aborts at the first lock that two threads want. execve (59) must work for the test's
# filter to reach us.
NOT_TRIED = ("exit", "futex", "execve", "exit_group", "rt_sigreturn", "sched_yield", "pause", "restart_syscall")
ERRORS = (errno.EPERM, errno.ENOSYS)
SECONDS = 60


def spoken(name):
    return SPOKEN.get(name, name)


def refusing(name, error):
    """The beginning of a command line."""
    return [harness.REFUSE, f"{CALLS[name]}={error}", "--"]


def each(case, test, calls=CALLS):
    """Calls test(name, error) for each call with each error, as subtests."""
    for name in calls:
        for error in ERRORS:
            with case.subTest(call=name, error=errno.errorcode[error]):
                test(name, error)
