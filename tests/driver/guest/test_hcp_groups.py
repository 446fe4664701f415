# SPDX-License-Identifier: GPL-2.0-or-later
"""Several devices at one instant: named together, or on one disk; all of them or nothing; and their end together."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest import pairs
from tests.driver.guest.background import background
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import (
    DISK,
    MIB,
    Filesystem,
    filesystem,
    is_block,
    loop,
    partitions,
    settle,
)
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import attempt, copies, remove_all
from tests.driver.guest.mount_limit import mounts_left
from tests.driver.guest.pairs import Sequenced
from tests.driver.guest.records import SLOTS
from tests.driver.guest.truth import Truth

pytestmark = pytest.mark.two_kernels

SMALL = 80 * MIB


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[str, ...]]:
    """Three partitions, for every test here."""
    with partitions(SMALL, SMALL, SMALL) as nodes:
        yield nodes


@contextlib.contextmanager
def two(nodes: tuple[str, ...], kinds: tuple[str, str] = ("ext4", "xfs")) -> Iterator[tuple[Filesystem, Filesystem]]:
    with (
        filesystem(kinds[0], nodes[0], path="/run/one") as one,
        filesystem(kinds[1], nodes[1], path="/run/two") as other,
    ):
        yield one, other


@contextlib.contextmanager
def partitions_of(copy: str, *, read_only: bool = True) -> Iterator[list[str]]:
    """The partitions that a copy of a disk holds, as hcp says how to see them."""
    options = ("--read-only",) if read_only else ()
    run("modprobe", "loop")
    node = run("losetup", "--find", "--show", *options, "--partscan", copy).strip()
    nodes = [f"{node}p{number}" for number in (1, 2)]
    try:
        assert eventually(lambda: all(is_block(part) for part in nodes))
        yield nodes
    finally:
        settle()
        run("losetup", "-d", node)
        assert eventually(lambda: not any(is_block(part) for part in nodes))


def mount_point(node: str, number: int) -> Path:
    return Path(f"/var/hotcopy/{os.path.basename(node)}_hcp{number}")


@pytest.mark.quick
def test_two_devices_are_of_one_instant(disk: tuple[str, ...]) -> None:
    with two(disk) as filesystems:
        files = [fs.path / "records" for fs in filesystems]
        backwards = [fs.path / "back" for fs in reversed(filesystems)]
        with background(Sequenced(*files), Sequenced(*backwards)) as workers:
            for worker in workers:
                worker.wait_rounds(SLOTS + 4)
            lines = hcp("--store-size", "16M", disk[0], disk[1]).splitlines()
            shown = [mount_point(node, number) for number, node in enumerate(disk[:2], 1)]
            pairs.check([where / "records" for where in shown])
            pairs.check([where / "back" for where in reversed(shown)])
            check_output(lines, filesystems)
            remove_all()
        assert not any(fs.store_names() for fs in filesystems)


def check_output(lines: list[str], filesystems: tuple[Filesystem, ...]) -> None:
    """The established lines, for each hot copy, in the order of the devices."""
    begin = [
        line
        for fs in filesystems
        for line in (f"Starting Hot Copy: {fs.node}.", f"Changed blocks stored: {fs.path}/.hotcopy")
    ]
    assert lines[1 : 1 + len(begin)] == begin
    rest = lines[1 + len(begin) :]
    patterns = [
        pattern
        for number, fs in enumerate(filesystems, 1)
        for pattern in (
            r"Snapshot completed: \d+\.\d{3} seconds",
            r"File system frozen: \d+\.\d{3} seconds",
            r"Hot Copy created: \w{3} .* \d{4}",
            f"Hot Copy created at: /dev/hcp{number}",
            f"Mounting /dev/hcp{number} read-write",
            f"Hot Copy mounted at: {mount_point(fs.node, number)}",
        )
    ]
    assert len(rest) == len(patterns), lines
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(patterns, rest)), lines


def test_a_disk_with_two_filesystems_is_of_one_instant(disk: tuple[str, ...]) -> None:
    with two(disk) as filesystems:
        files = [fs.path / "records" for fs in filesystems]
        with background(Sequenced(*files)) as (worker,):
            worker.wait_rounds(SLOTS + 4)
            text = hcp("--store-size", "20M", DISK)
            assert f"Starting Hot Copy: {DISK}.\n" in text
            assert "Hot Copy mounted" not in text
            assert "is not mounted" in text and "losetup --find --show --read-only --partscan /dev/hcp1" in text
            worker.wait_rounds(10)
            with partitions_of("/dev/hcp1") as parts:
                for part, fs, option in zip(parts, filesystems, ("noload", "norecovery,nouuid")):
                    where = Path(f"/run/shown{part[-1]}")
                    where.mkdir(exist_ok=True)
                    run("mount", "-t", fs.kind, "-o", f"ro,{option}", part, str(where))
                try:
                    pairs.check([Path(f"/run/shown{number}/records") for number in (1, 2)])
                finally:
                    for number in (1, 2):
                        run("umount", f"/run/shown{number}")
        remove_all()
        assert not any(fs.store_names() for fs in filesystems)


def test_a_disk_is_exact(disk: tuple[str, ...]) -> None:
    """Every byte of both partitions, the store excepted, which is where there is most room."""
    with two(disk, ("ext4", "ext4")) as (one, other):
        (one.path / "ballast").write_bytes(bytes(20 * MIB))
        for fs in (one, other):
            (fs.path / "old").write_bytes(b"old" * MIB)
            fs.sync()
        hcp("--skip-mount", "--store-size", "16M", DISK)
        with one.frozen(), other.frozen():
            truths = [Truth.of(disk[0])]
            truths.append(Truth.of(disk[1], truths[0].behind))
            hcp("--skip-mount", DISK)
        assert other.store_names() and not one.store_names()
        for fs in (one, other):
            (fs.path / "old").write_bytes(b"new" * MIB)
            fs.sync()
        with partitions_of("/dev/hcp2") as parts:
            truths[0].check(parts[0])
            truths[1].check(parts[1], other.store_ranges())


@pytest.mark.kernel_independent
def test_all_or_nothing(disk: tuple[str, ...]) -> None:
    """The second of three cannot be mounted, or its store not be made: nothing is left of any."""
    with two(disk, ("ext4", "ext4")) as (one, other), filesystem("ext4", disk[2], path="/run/three") as third:
        table = Path("/proc/self/mountinfo").read_text()
        with mounts_left(1):
            status, text = attempt(*disk)
        assert status == 1 and "cannot mount /dev/hcp2" in text, text
        assert "Hot Copy mounted at: /var/hotcopy" in text, "the first had been mounted"
        (third.path / "ballast").write_bytes(bytes(55 * MIB))
        third.sync()
        status, more = attempt("--store-size", "30M", *disk)
        assert status == 1 and "no free space" in more, more
        assert copies() == ()
        assert not any(fs.store_names() for fs in (one, other, third))
        assert Path("/proc/self/mountinfo").read_text() == table
        assert not any(mount_point(node, number).exists() for node in disk for number in (1, 2, 3))
        assert attempt(disk[0], disk[1], disk[0])[1].count("one device") == 1


@pytest.mark.kernel_independent
def test_a_loop_device_and_the_disk_below_it(disk: tuple[str, ...]) -> None:
    """Named in the wrong order: the upper one is frozen, held and numbered before the one that its file is in."""
    with (
        filesystem("ext4", disk[0], path="/run/one") as outer,
        loop(outer.path / "image", 24 * MIB) as node,
        filesystem("ext4", node, path="/run/inner") as inner,
    ):
        with background(Sequenced(inner.path / "records", outer.path / "records")) as (worker,):
            worker.wait_rounds(SLOTS + 4)
            hcp(disk[0], node)
            pairs.check([mount_point(node, 1) / "records", mount_point(disk[0], 2) / "records"])
            remove_all()
        status, text = attempt("-c", "/run/inner", disk[0])
        assert status == 1 and "in the end" in text, text


@pytest.mark.one_kernel
def test_remove_all(disk: tuple[str, ...]) -> None:
    with two(disk) as (one, other):
        assert hcp("-r", "--all") == "No Hot Copy sessions\n"
        hcp("--skip-mount", disk[0], disk[1])
        hcp(disk[0])
        with open("/dev/hcp2", "rb"):
            status, text = attempt("-r", "--all")
        assert status == 1, text
        assert re.search(r"hcp: error: /dev/hcp2 is in use .*\n", text)
        assert "1 of 3 hot copies are still there: /dev/hcp2" in text
        assert "All active" not in text
        assert [copy.minor for copy in copies()] == [2]
        hcp("--skip-mount", disk[0])
        lines = hcp("--remove", "--all").splitlines()
        stopped = "Hot Copy Session has successfully been stopped."
        assert lines == [
            f"Stopping /dev/hcp1 (of {disk[0]})",
            stopped,
            f"Stopping /dev/hcp2 (of {disk[1]})",
            stopped,
            "All active Hot Copy sessions have been stopped.",
        ]
        assert not any(fs.store_names() for fs in (one, other))


@pytest.mark.one_kernel
def test_the_root_filesystem() -> None:
    source = run("findmnt", "-no", "SOURCE", "/").strip()
    text = hcp("--skip-mount", "--store-size", "16M", source)
    try:
        assert "Hot Copy created at: /dev/hcp1\n" in text
        assert "Changed blocks stored: /.hotcopy\n" in text
        Path("/var/tmp/later").write_text("later")
        os.sync()
        if not os.path.exists("/dev/root"):
            hcp("--skip-mount", "/dev/root")
            assert len(copies()) == 2
            assert hcp("-s", "/dev/root").split() == ["/dev/hcp1", "/dev/hcp2"]
        assert copies()[0].preserved_bytes + copies()[-1].preserved_bytes > 0
    finally:
        remove_all()
        Path("/var/tmp/later").unlink()
    assert not Path("/.hotcopy").exists()
