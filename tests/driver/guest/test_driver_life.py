# SPDX-License-Identifier: GPL-2.0-or-later
"""Where no hot copy is made, what becomes of a filesystem that others thaw, and what the kernel counts."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest.background import Beat, background
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import FIFREEZE, FITHAW, MIB, Filesystem, filesystem, partitions
from tests.driver.guest.hotcopies import attempt, load_driver, remove, remove_all, take_bare

pytestmark = pytest.mark.two_kernels

ROUNDS = 8


@pytest.fixture(name="fs")
def fixture_fs() -> Iterator[Filesystem]:
    with partitions(96 * MIB) as (node,), filesystem("ext4", node) as made:
        yield made


@pytest.mark.quick
def test_refused_kernels(fs: Filesystem) -> None:
    release = os.uname().release
    try:
        load_driver(f"refuse_kernel={release[:4]}*")
        status, text = attempt("--skip-mount", fs.node)
        assert status == 1 and "refuse_kernel" in text, text
        load_driver("refuse_kernel=3.*")
        remove(take_bare(fs.node))
    finally:
        load_driver()


@pytest.mark.kernel_log(allow=r"hcp: \S+ was thawed by somebody else")
def test_somebody_else_thaws_all_the_time(fs: Filesystem) -> None:
    """A hot copy is made or not; and the filesystem can be frozen afterwards, which old kernels forget."""

    def thaw(beat: Beat) -> None:
        fd = os.open(fs.path, os.O_RDONLY)
        while beat():
            with contextlib.suppress(OSError):
                fcntl.ioctl(fd, FITHAW, 0)

    refused = []
    with background(thaw):
        for _ in range(ROUNDS):
            status, text = attempt("--skip-mount", fs.node)
            if status:
                assert "thawed by somebody else" in text or "being unmounted, remounted or thawed" in text, text
                refused.append(text)
    remove_all()
    fd = os.open(fs.path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, FIFREEZE, 0)
        fcntl.ioctl(fd, FITHAW, 0)
    finally:
        os.close(fd)
    remove(take_bare(fs.node))


def statistics(node: str) -> list[int]:
    """The numbers of /sys/block/hcpN/stat: reads, merged, sectors, time, writes, merged, sectors, time, under way..."""
    return [int(word) for word in Path(f"/sys/block/{os.path.basename(node)}/stat").read_text().split()]


def test_io_is_counted(fs: Filesystem) -> None:
    node = take_bare(fs.node)
    before = statistics(node)
    with Direct(node, os.O_RDWR) as device:
        device.read(0, MIB)
        device.write(MIB, bytes(64 * 1024))
        device.write(512, bytes(512))
    after = statistics(node)
    assert after[2] - before[2] >= 2048
    assert after[6] - before[6] == 129
    assert after[8] == 0
