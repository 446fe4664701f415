# SPDX-License-Identifier: GPL-2.0-or-later
"""One hcp at a time creates or removes: the store and the mounts are looked at and changed in several steps."""

from __future__ import annotations

import fcntl
import os
import time

from hotcopy import context
from hotcopy.errors import HcpError
from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_FILE = "/run/hotcopy.lock"
_PATIENCE = 60.0  # seconds


@context.contextmanager
def held(path: str = LOCK_FILE, patience: float = _PATIENCE) -> Iterator[None]:
    """Holds the lock; it goes with the process, however that ends. HcpError after ``patience`` seconds."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HcpError(f"cannot open {path}: {error.strerror}") from error
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
                    raise HcpError(
                        f"another hcp (process {holder}) has been creating or removing for {patience:.0f} seconds",
                        "wait for it or end it",
                    ) from None
                time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)
