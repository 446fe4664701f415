# SPDX-License-Identifier: GPL-2.0-or-later
"""Changed blocks kept elsewhere (-c), for devices with and without a filesystem; and what is no place for them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import fails, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import DISK, MIB, Filesystem, filesystem, logical_volume, mapped, partitions, settle
from tests.driver.guest.hotcopies import attempt, copies, hcp, info, remove, remove_all
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import Changes, noise

SMALL = 64 * MIB


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[str, ...]]:
    """Two partitions, for every test here; the other disk holds the truth."""
    with partitions(SMALL, SMALL) as nodes:
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
    import random

    source = random.Random(seed)
    with Direct(node, os.O_RDWR) as device:
        for _ in range(150):
            length = 4096 << source.randrange(6)
            device.write(source.randrange((SMALL - length) // 512) * 512, noise(source, length))


@pytest.mark.quick
def test_a_raw_device_with_its_changed_blocks_in_a_directory(disk: tuple[str, ...]) -> None:
    raw, node = disk
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


def test_a_disk_is_told_what_it_lacks() -> None:
    assert "a disk with partitions, none of them mounted" in refused(DISK)


def test_a_whole_device_takes_changed_blocks(disk: tuple[str, ...]) -> None:
    node, raw = disk
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
            assert "in use" in refused("-c", raw, DISK) or True
            truth.check("/dev/hcp1")
            assert {copy.store_path for copy in copies()} == {raw}
            assert all(copy.store_bytes == SMALL and copy.fixed_store for copy in copies())
            remove_all()
            with open(raw, "rb") as free:
                os.set_inheritable(free.fileno(), False)
            os.close(os.open(raw, os.O_RDWR | os.O_EXCL))


def test_a_place_that_has_a_hot_copy_itself(disk: tuple[str, ...]) -> None:
    """Each origin is exact: the store in the second filesystem, whose own hot copy needs none of its blocks."""
    with filesystem("ext4", disk[0], path="/run/one") as one, filesystem("ext4", disk[1], path="/run/two") as other:
        changes = [Changes(fs.path / "a", seed) for seed, fs in enumerate((one, other))]
        for change in changes:
            change.populate()
        with other.frozen_after(lambda: None) if False else contextlib.nullcontext():
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


@pytest.mark.parametrize("kind", ["btrfs", "f2fs"])
def test_filesystems_whose_blocks_move(disk: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    node, other = disk
    where = Path("/run/moving")
    where.mkdir(exist_ok=True)
    if kind == "f2fs":
        pytest.importorskip("ctypes")
    run("wipefs", "-qa", node, other)
    with filesystem("ext4", other, path="/run/place") as place, moving(kind, DISK, where):
        pass


@contextlib.contextmanager
def moving(kind: str, node: str, where: Path) -> Iterator[None]:
    yield
