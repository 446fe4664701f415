# SPDX-License-Identifier: GPL-2.0-or-later
"""Changed blocks kept elsewhere (-c), for devices with and without a filesystem; and what is no place for them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import fails, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import (
    DISK,
    MIB,
    filesystem,
    logical_volume,
    loop,
    make_filesystem,
    mapped,
    partitions,
    settle,
)
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import attempt, copies, info, remove, remove_all
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import Changes, noise

pytestmark = pytest.mark.two_kernels

SMALL = 64 * MIB


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[str, ...]]:
    """Partitions for every test here; the other disk holds the truth."""
    with partitions(SMALL, SMALL, 2 * SMALL) as nodes:
        yield nodes


def refused(*words: str) -> str:
    """hcp says no, on one line, and makes nothing."""
    before = len(copies())
    status, text = attempt("--skip-mount", *words)
    assert status == 1, text
    lines = text.splitlines()
    assert lines[-1].startswith("hcp: error: ") and "; " in lines[-1], text
    assert len(copies()) == before
    return lines[-1]


@contextlib.contextmanager
def signature(node: str, *argv: str) -> Iterator[None]:
    """Something that blkid knows, for a while."""
    run(*argv, node)
    try:
        yield
    finally:
        settle()
        run("wipefs", "-qa", node)


def scribble(node: str, seed: int) -> None:
    """Changes a raw device in many places, as a database would."""
    source = random.Random(seed)
    with Direct(node, os.O_RDWR) as device:
        for _ in range(150):
            length = 4096 << source.randrange(6)
            device.write(source.randrange((SMALL - length) // 512) * 512, noise(source, length))


@pytest.mark.quick
def test_a_raw_device_with_its_changed_blocks_in_a_directory(disk: tuple[str, ...]) -> None:
    raw, node, _ = disk
    run("wipefs", "-qa", raw)
    with filesystem("ext4", node, path="/run/place") as place:
        scribble(raw, 1)
        assert "no place" in refused(raw)
        assert "holds no filesystem" in refused(raw)
        truth = Truth.of(raw)
        (place.path / "sub").mkdir()
        text = hcp("-c", str(place.path / "sub"), raw)
        assert f"Changed blocks stored: {place.path}\n" in text
        assert "The hot copy is not mounted: it holds no filesystem" in text
        assert place.store_names()
        scribble(raw, 2)
        truth.check("/dev/hcp1")
        (copy,) = json.loads(hcp("-l", "--json"))["hot_copies"]
        assert (copy["store"], copy["origin"], copy["mount_points"]) == (str(place.path), raw, [])
        assert copy["store_device_number"] == "{}:{}".format(*info("/dev/hcp1").store)
        assert copy["store_device_number"] != copy["origin_number"]
        remove("/dev/hcp1")
        assert not place.store_names()


@pytest.mark.one_kernel
def test_a_disk_is_told_what_it_lacks(disk: tuple[str, ...]) -> None:
    assert "a disk with partitions, none of them mounted" in refused(DISK)


@pytest.mark.one_kernel
def test_a_whole_device_takes_changed_blocks(disk: tuple[str, ...]) -> None:
    node, raw, _ = disk
    with filesystem("ext4", node) as fs:
        change = Changes(fs.path / "a", 1)
        change.populate()
        with signature(raw, "mkfs.ext4", "-q", "-F"):
            line = refused("-c", raw, node)
            assert "holds ext4" in line and "--force" in line
            with fs.frozen():
                truth = Truth.of(node)
                text = hcp("--skip-mount", "--force", "-c", raw, node)
            assert f"Changed blocks stored: {raw}\n" in text
            assert not fs.store_names()
            assert "in use" in fails("mkfs.ext4", "-q", "-F", raw)
            with background(change) as (worker,):
                worker.wait_rounds(25)
            # A further one shares the store, whose place need not be named, and must not be another.
            assert "leave out -c" in refused("-c", str(fs.path), node)
            hcp("--skip-mount", "-c", raw, node)
            hcp("--skip-mount", node)
            truth.check("/dev/hcp1")
            assert {copy.store_path for copy in copies()} == {raw}
            assert all(copy.store_bytes == SMALL and copy.fixed_store for copy in copies())
            remove_all()
            os.close(os.open(raw, os.O_RDWR | os.O_EXCL))


@pytest.mark.one_kernel
def test_a_place_that_has_a_hot_copy_itself(disk: tuple[str, ...]) -> None:
    """Each origin is exact: the store in the second filesystem, whose own hot copy needs none of its blocks."""
    with filesystem("ext4", disk[0], path="/run/one") as one, filesystem("ext4", disk[1], path="/run/two") as other:
        changes = [Changes(fs.path / "a", seed) for seed, fs in enumerate((one, other))]
        for change in changes:
            change.populate()
        hcp("--skip-mount", "--store-size", "12M", other.node)
        with one.frozen():
            truth = Truth.of(one.node)
            text = hcp("--skip-mount", "--store-size", "16M", "-c", other.node, one.node)
        assert f"Changed blocks stored: {other.path}\n" in text
        assert len(other.store_names()) == 2
        with other.frozen():
            second = Truth.of(other.node, truth.behind)
            hcp("--skip-mount", other.node)
        with background(*changes) as workers:
            for worker in workers:
                worker.wait_rounds(15)
        truth.check("/dev/hcp2")
        second.check("/dev/hcp3", other.store_ranges())
        remove("/dev/hcp2")
        assert len(other.store_names()) == 1


@pytest.mark.one_kernel
def test_btrfs(disk: tuple[str, ...]) -> None:
    """As an origin it needs -c; it is no place; and a hot copy of one device of several is none."""
    _, other, node = disk
    where = Path("/run/moving")
    where.mkdir(exist_ok=True)
    run("mkfs.btrfs", "-q", "-f", node)
    with filesystem("ext4", other, path="/run/place") as place:
        run("mount", node, str(where))
        try:
            (where / "file").write_bytes(b"old" * MIB)
            assert "blocks move" in refused(node)
            assert "blocks move" in refused("-c", str(where), other)
            status, text = attempt("--skip-mount", "-c", str(place.path), node)
            if status:  # unless the driver can freeze what has no single device
                assert "does not let the driver freeze the btrfs" in text, text
                return
            (where / "file").write_bytes(b"new" * MIB)
            run("sync", "-f", str(where))
            run("btrfs", "check", "/dev/hcp1")
            assert b"old" * 1000 in restored(Path("/dev/hcp1"))
        finally:
            remove_all()
            run("umount", str(where))
        with loop(Path("/run/second.img"), 128 * MIB) as second:
            run("mkfs.btrfs", "-q", "-f", node, second)
            run("mount", node, str(where))
            try:
                for part in (node, second):
                    assert "one of 2 devices" in refused("-c", str(place.path), part)
            finally:
                run("umount", str(where))
    settle()
    run("wipefs", "-qa", node)


def restored(node: Path) -> bytes:
    """The file of a btrfs that cannot be mounted beside its origin."""
    target = Path("/run/restored")
    target.mkdir()
    run("btrfs", "restore", str(node), str(target))
    data = (target / "file").read_bytes()
    shutil.rmtree(target)
    return data


@pytest.mark.one_kernel
def test_logical_volumes(disk: tuple[str, ...]) -> None:
    """A disk with LVM on it, or the partition below LVM: what is on top is frozen, the store is not up there."""
    _, other, node = disk
    with (
        filesystem("ext4", other, path="/run/place") as place,
        logical_volume(node, 64 * MIB) as volume,
        filesystem("ext4", volume, path="/run/volume") as upper,
    ):
        (upper.path / "file").write_bytes(b"old" * MIB)
        upper.sync()
        assert "no place" in refused(node)
        assert "in the end" in refused("-c", str(upper.path), node)
        assert "in the end" in refused("-c", volume, DISK)
        with upper.frozen():
            truth = Truth.of(node, MIB)  # not where LVM would find it
            text = hcp("-c", str(place.path), node)
        assert "is not mounted" in text
        (upper.path / "file").write_bytes(b"new" * MIB)
        upper.sync()
        truth.check("/dev/hcp1")
        # The volume has its own hot copy too, whose store is written to the origin below.
        text = hcp("--skip-mount", volume)
        assert f"Changed blocks stored: {upper.path}/.hotcopy\n" in text
        (upper.path / "file").write_bytes(b"neu" * MIB)
        upper.sync()
        truth.check("/dev/hcp1")
        remove("/dev/hcp2")
        remove("/dev/hcp1")
        text = hcp(DISK)
        assert f"Changed blocks stored: {place.path}/.hotcopy\n" in text
        assert "partscan /dev/hcp1" in text
        remove_all()
        assert not upper.store_names() and not place.store_names()


@pytest.mark.one_kernel
def test_mounted_in_another_namespace_only(disk: tuple[str, ...]) -> None:
    """It is found and frozen there: e2fsck finds an empty journal. But it is no place for changed blocks."""
    node, other, _ = disk
    make_filesystem("ext4", node)
    script = f"mount {node} /mnt && touch /mnt/file && echo ready && exec sleep 600"
    with (
        filesystem("ext4", other, path="/run/place") as place,
        subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert "does not see it" in refused(node)
            assert "in use" in refused("--force", "-c", node, other)
            hcp("--skip-mount", "-c", str(place.path), node)
            run("e2fsck", "-fn", "/dev/hcp1")
            remove("/dev/hcp1")
        finally:
            process.kill()


@pytest.mark.one_kernel
def test_no_places(disk: tuple[str, ...]) -> None:
    raw, other, third = disk
    with filesystem("ext4", other) as fs:
        cases = [
            ("/run", "tmpfs"),
            ("/etc/passwd", "regular file"),
            (DISK, "is on it"),
        ]
        for where, part in cases:
            assert part in refused("-c", where, fs.node), where
        run("wipefs", "-qa", raw)
        assert "its own changed blocks" in refused("-c", raw, raw)
        assert "one device only" in refused("-c", raw, fs.node, third)
        with signature(raw, "mkswap"):
            assert "swap, which" in refused("-c", raw, fs.node)
            run("swapon", raw)
            try:
                assert "in use as swap" in refused("--force", "-c", raw, fs.node)
                assert "has swap space in use on it" in refused(DISK)
                assert "in use as swap" in refused("-c", str(fs.path), raw)
            finally:
                run("swapoff", raw)
        with mapped(f"0 {SMALL // 512} linear {raw} 0"):
            assert "is on it" in refused("--force", "-c", raw, fs.node)
        hcp(fs.node)
        assert "is on the hot copy" in refused("-c", "/dev/hcp1", raw)
        assert "is on the hot copy" in refused("-c", f"/var/hotcopy/{os.path.basename(fs.node)}_hcp1", raw)
        remove_all()
        run("mount", "-o", "remount,ro", str(fs.path))
        assert "read-only" in refused("-c", str(fs.path), raw)
        run("mount", "-o", "remount,rw", str(fs.path))
