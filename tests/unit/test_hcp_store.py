# SPDX-License-Identifier: GPL-2.0-or-later
"""The store on the real filesystem of this machine: fallocate, FIEMAP, cleaning up."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotcopy import blocks, fibmap, fiemap, libc, mounts, store
from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.frozen import make_directory

MIB = 1 << 20
REAL = ("ext2", "ext3", "ext4", "xfs")


def _directory_on_a_disk() -> Path | None:
    table = mounts.read()
    for candidate in (Path(tempfile.gettempdir()), Path.home(), Path("/var/tmp")):
        here = mounts.of_device(table, DevId.of(candidate.stat().st_dev))
        if here and here[0].fstype in REAL:
            return candidate
    return None


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on a filesystem that sits on a disk (tmpfs has no FIEMAP)."""
    parent = _directory_on_a_disk()
    if parent is None or os.geteuid() != 0:
        pytest.fail("needs root and a directory on ext4 or xfs")
    path = Path(tempfile.mkdtemp(prefix="hotcopy-unit-", dir=parent))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def root(place: Path) -> Iterator[int]:
    """The same, open, as the root directory of a filesystem would be."""
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_space_keeps_the_floor_free(root: int) -> None:
    status = os.statvfs(root)
    free = status.f_bavail * status.f_frsize
    for percent in (0, 5, 50):
        space = store.Space.of(root, percent)
        assert space.total == status.f_blocks * status.f_frsize
        assert space.usable <= max(0, free - space.total * percent // 100 - MIB) + 16 * MIB
        assert not (space.usable and space.at_floor)
    assert store.Space.of(root, 99).at_floor


@pytest.mark.parametrize(
    ("total", "usable", "origin", "wanted", "size"),
    [
        (1 << 40, 1 << 39, 1 << 40, None, 64 * MIB),
        (2048 * MIB, 1024 * MIB, 2048 * MIB, None, 20 * MIB),
        (120 * MIB, 80 * MIB, 128 * MIB, None, 1 * MIB),
        (50 * MIB, 20 * MIB, 50 * MIB, None, 1 * MIB),
        (1 << 40, 20 * MIB, 1 << 40, None, 10 * MIB),
        (1 << 40, 1 * MIB, 1 << 40, None, 1 * MIB),
        (1 << 40, 1 << 39, 40 * MIB, None, 40 * MIB),
        (1 << 40, 400 * MIB, 1024 * MIB, 399 * MIB, 399 * MIB),
        (1 << 40, 400 * MIB, 50 * MIB, 1 * MIB, 1 * MIB),
    ],
)
def test_plan_size(total: int, usable: int, origin: int, wanted: int | None, size: int) -> None:
    assert store.plan_size(store.Space(total, usable), origin, wanted, "/x", 5) == size


@pytest.mark.parametrize(("usable", "wanted"), [(1 * MIB - 1, None), (0, 1 * MIB), (400 * MIB, 401 * MIB)])
def test_plan_size_refuses(usable: int, wanted: int | None) -> None:
    with pytest.raises(HcpError, match=r"no free space.*floor of 7 %"):
        store.plan_size(store.Space(1 << 50, usable), 1 << 40, wanted, "/x", 7)


def test_growth_is_geometric() -> None:
    space = store.Space(1 << 50, 1 << 50)
    allocated, steps = store.LARGEST_FIRST, 1
    while allocated < 8 << 40:
        allocated += store.next_size(space, allocated, False)
        steps += 1
    assert steps <= 64
    assert store.next_size(space, 1 * MIB, False) == 16 * MIB
    assert store.next_size(space, 100 * MIB + 4096, False) == 100 * MIB
    assert store.next_size(space, 1 * MIB, True) == 8 * MIB
    assert store.next_size(space, 100 * MIB, True) == 25 * MIB
    assert store.next_size(space, 5 << 30, False) == 4 << 30


def test_growth_halves_what_is_left() -> None:
    usable, steps = 1000 * MIB, 0
    allocated = 16 * MIB
    while True:
        size = store.next_size(store.Space(1 << 40, usable), allocated, False)
        if not size:
            break
        assert size <= usable // 2
        usable -= size
        allocated += size
        steps += 1
    assert usable < 2 * MIB
    assert steps < 20


def test_make_and_clean(place: Path, root: int) -> None:
    made = store.make(root, str(place), 8 * MIB)
    directory = place / store.DIRECTORY
    assert directory.stat().st_mode & 0o7777 == 0o700
    (file,) = directory.iterdir()
    status = file.stat()
    assert file.name == made.name
    assert status.st_mode & 0o7777 == 0o600
    assert status.st_size == 0
    assert status.st_blocks * 512 >= 8 * MIB
    assert os.fstat(made.file_fd).st_ino == status.st_ino
    with pytest.raises(OSError):
        os.write(made.file_fd, b"x")
    assert made.size >= 8 * MIB
    assert sum(extent.length for extent in made.extents) == made.size
    spans = sorted((extent.physical, extent.physical + extent.length) for extent in made.extents)
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:]))
    assert all(extent.physical > 0 and extent.physical % 512 == extent.length % 512 == 0 for extent in made.extents)

    used = {(DevId.of(status.st_dev), status.st_ino)}
    assert store.clean(root, used) == 0
    assert file.exists()
    made.close()
    assert store.clean(root, set()) == 1
    assert not directory.exists()
    assert store.clean(root, set()) == 0


def test_extents_are_what_filefrag_says(place: Path) -> None:
    file = place / "holes"
    with open(file, "wb") as handle:
        for number in range(40):
            handle.seek(number * 3 * 65536)
            handle.write(os.urandom(65536))
    fd = os.open(file, os.O_RDONLY)
    try:
        ours = fiemap.extents_of(fd)
    finally:
        os.close(fd)
    assert sum(extent.length for extent in ours) == 40 * 65536
    listing = subprocess.run(["filefrag", "-b512", "-v", str(file)], capture_output=True, text=True, check=True).stdout
    theirs = []
    for line in listing.splitlines():
        fields = line.replace("..", " ").replace(":", " ").split()
        if fields and fields[0].isdigit():
            theirs.append(fiemap.Extent(int(fields[1]) * 512, int(fields[3]) * 512, int(fields[5]) * 512))
    assert ours == fiemap.merge(theirs)


def test_more_extents_than_one_call_takes(place: Path) -> None:
    file = place / "many"
    with open(file, "wb") as handle:
        for number in range(1300):
            handle.seek(number * 2 * 65536)
            handle.write(b"x" * 4096)
    fd = os.open(file, os.O_RDONLY)
    try:
        assert len(fiemap.extents_of(fd)) == 1300
    finally:
        os.close(fd)


def test_merge() -> None:
    one = [fiemap.Extent(0, 4096, 4096), fiemap.Extent(4096, 8192, 4096), fiemap.Extent(8192, 20480, 4096)]
    assert fiemap.merge(one) == (fiemap.Extent(0, 4096, 8192), fiemap.Extent(8192, 20480, 4096))
    backwards = [fiemap.Extent(0, 8192, 4096), fiemap.Extent(4096, 4096, 4096)]
    assert fiemap.merge(backwards) == tuple(backwards)
    assert fiemap.merge([]) == ()


def test_a_file_of_zeros(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_fd: int, _size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(libc, "fallocate_keep_size", refuse)
    fd = os.open(place / "zeros", os.O_RDWR | os.O_CREAT)
    try:
        assert blocks.allocate(fd, 3 * MIB + 4096, "ext3")
        assert os.fstat(fd).st_size == 3 * MIB + 4096
        by_extent = blocks.extents_of(fd, 3 * MIB + 4096)
        assert fibmap.extents_of(fd) == by_extent
        with pytest.raises(HcpError, match="did not allocate"):
            blocks.extents_of(fd, 4 * MIB)
    finally:
        os.close(fd)


def test_extension_and_clean(place: Path, root: int) -> None:
    with store.extending(root, str(place)) as extension:
        made = extension.make(2 * MIB, "ext4", True)
        with pytest.raises(BlockingIOError):  # in the making: no leftover
            store.clean(root, set())
        useless = extension.make(1 * MIB, "ext4", False)
        extension.drop(useless)
    assert [file.name for file in (place / store.DIRECTORY).iterdir()] == [made.name]
    assert (place / store.DIRECTORY / made.name).stat().st_size == 0
    assert made.size >= 2 * MIB
    made.close()
    assert store.clean(root, set()) == 1


def test_failure_leaves_nothing(place: Path, root: int) -> None:
    with pytest.raises(HcpError):
        store.make(root, str(place), 1 << 60)
    assert list(place.iterdir()) == []


def test_no_fallocate_is_explained() -> None:
    fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(HcpError, match="/proc"):
            store.make(fd, "/proc", MIB)
    finally:
        os.close(fd)


def test_somebody_elses_directory_is_refused(place: Path, root: int) -> None:
    directory = place / store.DIRECTORY
    directory.symlink_to(place)
    with pytest.raises(HcpError, match="not a directory"):
        store.make(root, str(place), MIB)
    directory.unlink()
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    (directory / "store-1").touch()
    with pytest.raises(HcpError, match="somebody else"):
        store.make(root, str(place), MIB)
    assert store.clean(root, set()) == 0
    assert (directory / "store-1").exists()


def test_clean_keeps_what_is_not_a_store(place: Path, root: int) -> None:
    directory = place / store.DIRECTORY
    directory.mkdir()
    (directory / "notes").touch()
    (directory / "store-link").symlink_to(place)
    (directory / "store-dir").mkdir()
    (directory / "store-0").touch()
    assert store.clean(root, set()) == 1
    assert sorted(path.name for path in directory.iterdir()) == ["notes", "store-dir", "store-link"]


def test_make_directory(place: Path, root: int) -> None:
    assert make_directory(root, "new", 30)
    assert make_directory(root, "new", 30)
    assert (place / "new").is_dir()
    (place / "file").touch()
    with pytest.raises(OSError):
        make_directory(root, "nowhere/new", 30)
