# SPDX-License-Identifier: GPL-2.0-or-later
"""Small filesystems on whole disks, to use the hcp command on, and what it must leave as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.driver.guest.background import succeeds
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import Filesystem, make_filesystem
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import copies, remove_all
from tests.driver.guest.partition_table import wipe

LINK = "/dev/disk/by-id/virtio-data0"
OTHER_LINK = "/dev/disk/by-id/virtio-data1"
MIB = 128  # all of a disk would be too large to fill or to compare


def hot_copies() -> list[dict[str, Any]]:
    """Every hot copy, as hcp -l --json has it."""
    found: list[dict[str, Any]] = json.loads(hcp("-l", "--json"))["hot_copies"]
    return found


def mounts() -> str:
    """What is mounted where."""
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Origin(Filesystem):
    """A mounted filesystem to take hot copies of; ``node`` is without links."""

    link: str

    @property
    def name(self) -> str:
        """The last part of its node."""
        return os.path.basename(self.node)

    @property
    def default_mount(self) -> Path:
        """Where its first hot copy is mounted, unless told otherwise."""
        return Path(f"/var/hotcopy/{self.name}_hcp1")

    def is_writable(self) -> bool:
        """Whether a write gets through: not frozen, not read-only."""
        return succeeds(self._write, 20)

    def _write(self) -> None:
        probe = self.path / "probe"
        probe.write_bytes(b"x")
        self.sync()
        probe.unlink()


def unmount(path: Path) -> None:
    """If it is mounted."""
    if path.is_mount():
        run("umount", str(path))


@contextmanager
def origin_on(kind: str, link: str = LINK, path: str = "/run/origin") -> Iterator[Origin]:
    """A fresh filesystem, mounted; afterwards nothing of it and no hot copy is left."""
    node = os.path.realpath(link)
    where = Path(path)
    where.mkdir(parents=True, exist_ok=True)
    wipe(node)
    make_filesystem(kind, node, mib=MIB)
    run("mount", "-t", kind, node, path)
    try:
        yield Origin(node, kind, where, link)
    finally:
        remove_all()
        unmount(where)
        wipe(node)


@contextmanager
def leaves_nothing(origin: Origin) -> Iterator[None]:
    """What runs inside leaves the origin, the mounts and the hot copies as they were."""
    free, table, files, held = origin.free(), mounts(), origin.store_names(), len(copies())
    yield
    assert len(copies()) == held
    assert mounts() == table
    assert origin.store_names() == files
    assert (origin.path / ".hotcopy").exists() == bool(files)
    assert eventually(lambda: origin.free() == free), (origin.free(), free)
    assert origin.is_writable()
