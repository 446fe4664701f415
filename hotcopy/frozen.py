# SPDX-License-Identifier: GPL-2.0-or-later
"""Making a directory on a filesystem that may be frozen, without hanging on it."""

from __future__ import annotations

import contextlib
import os
import time


def _child(root: int, name: str, parent: int) -> int:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)  # whoever reads our output must not wait for this process
    for fd in [int(text) for text in os.listdir("/proc/self/fd")]:
        if fd > 2 and fd != root:  # the lock among them
            with contextlib.suppress(OSError):
                os.close(fd)
    made = False
    try:
        os.mkdir(name, 0o700, dir_fd=root)
        made = True
    except FileExistsError:
        pass
    except OSError as error:
        return error.errno or 255
    if made and os.getppid() != parent:
        os.rmdir(name, dir_fd=root)  # thawed after hcp had given up
    return 0


def make_directory(root: int, name: str, patience: float) -> bool:
    """Makes directory ``name`` (mode 0700) in the open directory ``root``; one that exists is fine.

    False when that took longer than ``patience`` seconds. The kernel has no call that tells whether a filesystem
    is frozen, and a write to a frozen one sleeps uninterruptibly; so a child process tries it, and even an
    existing directory makes it wait (mkdir asks for write access before it looks). Raises OSError.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 255
        try:
            status = _child(root, name, parent)
        finally:
            os._exit(status)
    deadline = time.monotonic() + patience
    pause = 0.001
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
    number = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 255
    if number:
        raise OSError(number, os.strerror(number))
    return True
