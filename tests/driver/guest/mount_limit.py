# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts that fail for real: the kernel's limit of mounts in a namespace (fs.mount-max)."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

_LIMIT = Path("/proc/sys/fs/mount-max")
_SCRATCH = Path("/run/mount-limit")


def _one_more_works() -> bool:
    done = subprocess.run(("mount", "-t", "tmpfs", "none", str(_SCRATCH)), check=False, stderr=subprocess.DEVNULL)
    if done.returncode:
        return False
    subprocess.run(("umount", str(_SCRATCH)), check=True)
    return True


@contextlib.contextmanager
def mounts_left(number: int) -> Iterator[None]:
    """So many more mounts succeed (at a time), then none, for the time of a with block."""
    before = _LIMIT.read_text()
    _SCRATCH.mkdir(exist_ok=True)
    # Some are hidden from mountinfo, so that counting is not enough.
    limit = len(Path("/proc/self/mountinfo").read_text().splitlines())
    try:
        while True:
            _LIMIT.write_text(str(limit))
            if _one_more_works():
                break
            limit += 1
        _LIMIT.write_text(str(limit - 1 + number))
        yield
    finally:
        _LIMIT.write_text(before)
        _SCRATCH.rmdir()
