# SPDX-License-Identifier: GPL-2.0-or-later
"""Becoming a process of its own that outlives the command, holds nothing of it, and is the last to run out of memory."""

from __future__ import annotations

import gc
import os
import sys

from hotcopy import context, libc
from hotcopy.light import TYPE_CHECKING, signal
from hotcopy.pipes import readable

if TYPE_CHECKING:
    from collections.abc import Collection

_IGNORED = (signal.SIGHUP, signal.SIGPIPE)
_DEFAULT = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2)
_PRIORITY = -10  # a full store waits for this process


def close_descriptors(keep: Collection[int] = ()) -> None:
    """Closes everything but ``keep`` and 0, 1 and 2, which become /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for fd in [int(text) for text in os.listdir("/proc/self/fd")]:
        if fd > 2 and fd not in keep:
            with context.suppress(OSError):
                os.close(fd)


def _write(path: str, text: str) -> None:
    with context.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _leave_cgroup() -> None:
    """Into the root of every hierarchy: the caller's service or session may be ended, or be short of memory or CPU."""
    top, file = "/sys/fs/cgroup", "cgroup.procs"
    if os.path.exists(f"{top}/{file}"):  # version 2: the directories in it are plain groups
        _write(f"{top}/{file}", str(os.getpid()))
        return
    with context.suppress(OSError):
        for name in os.listdir(top):
            _write(f"{top}/{name}/{file}", str(os.getpid()))


def _leave_mount_namespace() -> None:
    """Into that of the first process: a private one would keep everything mounted that it shows."""
    with context.suppress(OSError):
        if os.stat("/proc/1/ns/mnt").st_ino == os.stat("/proc/self/ns/mnt").st_ino:
            return
        fd = os.open("/proc/1/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.enter_namespace(fd, libc.CLONE_NEWNS)
        finally:
            os.close(fd)


def has_ended(pipe: int) -> bool:
    """Whether the process at the other end of the pipe, which never writes, has ended."""
    return readable(pipe, 0)


def detach(name: bytes, keep: int) -> None:
    """To be called in a child of the command: nothing of the command's is left to it but ``keep``. OSError."""
    os.setsid()
    close_descriptors((keep,))
    for number in _DEFAULT:
        signal.signal(number, signal.SIG_DFL)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o077)
    sys.dont_write_bytecode = True  # the filesystem of the program may be frozen
    os.chdir("/")
    libc.set_name(name)
    _leave_cgroup()
    _spare()


def settle() -> None:
    """For a process that stays, when it has loaded all it needs: from here on it may see other files. OSError."""
    _leave_mount_namespace()
    os.chdir("/")  # that namespace's
    gc.enable()
    harden()


def _spare() -> None:
    """Keeps the OOM killer off this process."""
    _write("/proc/self/oom_score_adj", "-1000")


def harden() -> None:
    """Spares this process by the OOM killer, puts it first, and keeps its allocations from waiting for writes."""
    _spare()
    with context.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    with context.suppress(OSError):  # since 5.6
        libc.prctl(libc.PR_SET_IO_FLUSHER, 1)


def lock_memory() -> None:
    """Keeps this process in memory, as far as that is allowed."""
    with context.suppress(OSError):
        libc.lock_memory()
