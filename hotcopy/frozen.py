# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing to a filesystem that may be frozen, without hanging on it.

The kernel has no call that tells whether a filesystem is frozen, and a write to a frozen one sleeps uninterruptibly; so
a child process tries it.
"""

from __future__ import annotations

import os

from hotcopy import context, filesystems
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.pipes import readable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Callable

_PROBE = "user.hotcopy-probe"  # an attribute that no file has


class _Child(NamedTuple):
    """A child process, and the pipe through which it tells how it ended: SIGCHLD may be ignored, and nothing left to wait for."""

    pid: int
    pipe: int


def _start(root: int, job: Callable[[], None]) -> _Child:
    """A child process that does ``job`` and holds nothing of ours but ``root``; it tells the errno."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid:
        os.close(writer)
        return _Child(pid, reader)
    status = 255
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)  # whoever reads our output must not wait for this process
        for fd in [int(text) for text in os.listdir("/proc/self/fd")]:
            if fd > 2 and fd not in (root, writer):  # the lock among them
                with context.suppress(OSError):
                    os.close(fd)
        job()
        status = 0
    except OSError as error:
        status = error.errno or 255
    finally:
        with context.suppress(OSError):
            os.write(writer, bytes([status]))
        os._exit(0)


def _ended(child: _Child, patience: float) -> int | None:
    """The errno (0: none) that the child ended with, None when it has not within ``patience`` seconds."""
    if not readable(child.pipe, patience):
        return None
    told = os.read(child.pipe, 1)
    with context.suppress(ChildProcessError):
        os.waitpid(child.pid, 0)
    return told[0] if told else 255


def _result(child: _Child, patience: float) -> int | None:
    """As _ended(), for whoever asks once."""
    try:
        return _ended(child, patience)
    finally:
        os.close(child.pipe)


def make_directory(root: int, name: str, patience: float) -> bool:
    """Makes directory ``name`` (mode 0700) in the open directory ``root``; one that exists is fine.

    False when that took longer than ``patience`` seconds: even an existing directory makes it wait (mkdir asks for
    write access before it looks). Raises OSError.
    """
    parent = os.getpid()

    def make() -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=root)
        except FileExistsError:
            return
        if os.getppid() != parent:
            os.rmdir(name, dir_fd=root)  # thawed after hcp had given up

    number = _result(_start(root, make), patience)
    if number:
        raise OSError(number, os.strerror(number))
    return number is not None


def is_frozen(root: int, patience: float) -> bool:
    """Whether the filesystem that ``root`` is open on takes no write for ``patience`` seconds."""

    def probe() -> None:
        os.removexattr(root, _PROBE)  # asks for write access before it looks

    return _result(_start(root, probe), patience) is None


def write_back(root: int, fstype: str, others: Iterable[int], patience: float) -> int | None:
    """Writes back the filesystem that ``root`` is open on, however long it takes. OSError.

    None when it is done; or the first of ``others`` (roots too) that is frozen and keeps it from ever being done.
    """
    child = _start(root, lambda: filesystems.write_back(root, fstype))
    try:
        while True:
            number = _ended(child, patience)
            if number:
                raise OSError(number, os.strerror(number))
            if number == 0:
                return None
            for other in others:
                if is_frozen(other, patience):
                    return other
    finally:
        os.close(child.pipe)
