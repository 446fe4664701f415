# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk goes away under load: errors, and after them an end of everything that leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest

from tests.driver.guest.background import Beat, background
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.devices import SPARE, nvme_disk, scsi_load, scsi_unload
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, filesystem, is_block, make_filesystem, settle
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import copies, hot_copy, info, take, take_bare

pytestmark = pytest.mark.two_kernels

STORE = ("--store-size", "16M")
ORIGIN = Path("/run/origin")
SHOWN = Path("/run/copy")


@dataclass(frozen=True)
class Plug:
    """A disk, how to pull it out, and how to put it back."""

    node: str
    pull: Callable[[], None]
    put_back: Callable[[], None]


@contextlib.contextmanager
def scsi() -> Iterator[Plug]:
    """A SCSI disk, by its host."""
    node = scsi_load("dev_size_mb=64")

    def put_back() -> None:
        scsi_unload()
        assert scsi_load("dev_size_mb=64") == node

    try:
        yield Plug(node, lambda: tell(f"/sys/block/{os.path.basename(node)}/device/delete", "1"), put_back)
    finally:
        scsi_unload()


@contextlib.contextmanager
def nvme() -> Iterator[Plug]:
    """An NVMe disk, by its slot."""
    node = nvme_disk()
    slot = f"/sys/block/{os.path.basename(node)}/device/device/remove"
    yield Plug(node, lambda: tell(slot, "1"), lambda: tell("/sys/bus/pci/rescan", "1"))


@contextlib.contextmanager
def virtio() -> Iterator[Plug]:
    """A virtio disk, by its driver."""
    device = os.path.basename(os.path.realpath(f"/sys/block/{os.path.basename(SPARE)}/device"))
    driver = "/sys/bus/virtio/drivers/virtio_blk"
    yield Plug(SPARE, lambda: tell(f"{driver}/unbind", device), lambda: tell(f"{driver}/bind", device))


def tell(path: str, word: str) -> None:
    """Write to a file of sysfs."""
    Path(path).write_text(word, encoding="ascii")


def write_until_it_fails(beat: Beat) -> None:
    """A task: direct writes, until the disk is gone."""
    with pytest.raises(OSError) as caught:
        write_for_ever(beat)
    assert caught.value.errno in (errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO)
    while beat():
        time.sleep(0.02)


def write_for_ever(beat: Beat) -> None:
    """All of the file, again and again."""
    with Direct(str(ORIGIN / "file"), os.O_RDWR) as file:
        while beat():
            for offset in range(0, 4 * MIB, MIB // 4):
                file.write(offset, os.urandom(4096) * 64)


def read_all(node: str) -> None:
    """As much as has changed, and more."""
    with Direct(node) as device:
        for offset in range(0, 16 * MIB, MIB):
            device.read(offset, MIB)


@pytest.mark.parametrize(
    ("kind", "fstype"),
    [
        pytest.param("scsi", "ext4", marks=pytest.mark.kernel_independent),
        pytest.param("nvme", "xfs", marks=pytest.mark.kernel_independent),
        ("virtio", "ext4"),
    ],
)
@pytest.mark.kernel_log(
    allow=r"I/O error|EXT4-fs (error |warning )?\(|JBD2: |Aborting journal|Remounting filesystem|XFS \(|lost async page"
)
def test_disk_pulled_out(kind: str, fstype: str) -> None:
    with {"scsi": scsi, "nvme": nvme, "virtio": virtio}[kind]() as plug:
        node = plug.node
        make_filesystem(fstype, node)
        ORIGIN.mkdir(exist_ok=True)
        # On 5.10 to note an access on a disk that is gone is a warning, with hot copies or without.
        run("mount", "-o", "noatime", node, str(ORIGIN))
        (ORIGIN / "file").write_bytes(bytes(4 * MIB))
        run("sync", "-f", str(ORIGIN))
        taken = [take_bare(node, *STORE), take(node, "-o", "-m", str(SHOWN))]
        with background(write_until_it_fails) as (worker,):
            worker.wait_rounds(1)
            plug.pull()
            worker.wait_rounds(3)  # that it does not hang
        assert eventually(lambda: not is_block(node))
        for copy in taken:
            assert info(copy).state in ("active", "failed")
            with pytest.raises(OSError, match=r"Input/output error|No such device"):
                read_all(copy)
        assert hcp("-l").count("****** hcp") == 2
        for copy in taken:
            hcp("-r", copy)
        assert copies() == ()
        run("rmmod", "hcpdriver")
        run("umount", str(ORIGIN))
        plug.put_back()
        # The same name: nobody holds on to the old one.
        assert eventually(lambda: is_block(node)), os.listdir("/sys/block")
        settle()
        with filesystem(fstype, node) as fs, hot_copy(node, *STORE) as copy:
            (fs.path / "file").write_bytes(bytes(MIB))
            fs.sync()
            assert info(copy).state == "active"
