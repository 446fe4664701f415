# SPDX-License-Identifier: GPL-2.0-or-later
"""Free blocks: GETFSMAP on this machine, file allocation tables by hand, and what is left out for doubt."""

from __future__ import annotations

import os
import random
import struct
import tempfile
from pathlib import Path

import pytest

from hotcopy import abi, fat, freespace, fsmap, mounts
from hotcopy.devid import DevId
from hotcopy.fsmap import Range

UNIT = abi.UNIT_SIZE


def record(device: int, flags: int, physical: int, owner: int, length: int) -> bytes:
    return struct.pack("=IIQQQQ24x", device, flags, physical, owner, 0, length)


def test_only_free_records_of_the_data_device_count() -> None:
    special, unknown = 0x10, 2
    records = b"".join(
        (
            record(7, special, 0, 3, 4096),
            record(7, special, 4096, 1, 8192),
            record(8, special, 12288, 1, 8192),  # the realtime device
            record(7, 0, 20480, 1, 4096),  # inode 1
            record(7, special, 24576, unknown, 4096),
            record(7, special | 0x20, 28672, 1, 4096),
        )
    )
    assert fsmap.free_among(records, 7) == [Range(4096, 8192), Range(28672, 4096)]


def test_device_numbers_as_the_kernel_encodes_them() -> None:
    assert fsmap.encode_dev(DevId(8, 1)) == 0x801
    assert fsmap.encode_dev(DevId(259, 0x12345)) == 0x12310345


def test_free_ranges_of_a_real_filesystem() -> None:
    table = mounts.read()
    for place in (Path(tempfile.gettempdir()), Path.home(), Path("/var/tmp")):
        dev = DevId.of(place.stat().st_dev)
        here = mounts.of_device(table, dev)
        if here and here[0].fstype in ("ext4", "xfs"):
            break
    else:
        pytest.fail("needs a directory on ext4 or xfs")
    fd = os.open(place, os.O_RDONLY)
    try:
        free = [item for batch in fsmap.free_ranges(fd, dev) for item in batch]
        status = os.fstatvfs(fd)
    finally:
        os.close(fd)
    assert all(one.start + one.length <= two.start for one, two in zip(free, free[1:]))
    total = sum(item.length for item in free)
    # Others use it meanwhile.
    assert 0.9 < total / (status.f_bfree * status.f_frsize) < 1.1


def test_whole_units() -> None:
    ranges = [Range(1024, 3072), Range(4096, 1024), Range(9216, 3072), Range(12288, 5120), Range(40960, 40960)]
    # [1024, 5120) has no whole unit but the first's rest; [9216, 17408) has one from 12288 on.
    assert freespace.whole_units(ranges, 61440) == [Range(12288, 4096), Range(40960, 20480)]
    assert freespace.whole_units([], 61440) == []
    assert freespace.whole_units([Range(0, 4096), Range(4096, 4096)], 8192 + 512) == [Range(0, 8192)]


def test_the_longest_ranges_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abi, "MAX_FREE", 2)
    ranges = [Range(0, UNIT), Range(2 * UNIT, 3 * UNIT), Range(6 * UNIT, UNIT), Range(8 * UNIT, 2 * UNIT)]
    assert freespace.whole_units(ranges, 1 << 30) == [ranges[1], ranges[3]]


@pytest.mark.parametrize("ranges", [[Range(8192, 4096), Range(0, 4096)], [Range(0, 8192), Range(4096, 8192)]])
def test_what_is_not_sorted_is_doubtful(ranges: list[Range]) -> None:
    with pytest.raises(freespace.DoubtError):
        freespace.whole_units(ranges, 1 << 30)


def ext_superblock(state: int, incompatible: int) -> bytes:
    data = bytearray(4096)
    struct.pack_into("<HH", data, 1024 + 0x38, 0xEF53, state)
    struct.pack_into("<I", data, 1024 + 0x60, incompatible)
    return bytes(data)


@pytest.mark.parametrize(
    ("fstype", "superblock"),
    [
        ("ext4", bytes(4096)),
        ("ext4", ext_superblock(0x2, 0)),
        ("ext3", ext_superblock(0x1, 0x4)),
        ("xfs", bytes(4096)),
        ("xfs", b"XFSB" + bytes(96) + b"\xb4\xa5" + bytes(114) + b"\0\0\0\x1b" + bytes(3000)),
    ],
)
def test_doubtful_filesystems(fstype: str, superblock: bytes) -> None:
    with pytest.raises(freespace.DoubtError):
        freespace.refuse_doubtful(superblock, fstype)


def test_sound_filesystems() -> None:
    freespace.refuse_doubtful(ext_superblock(0x1, 0x2C2), "ext4")
    freespace.refuse_doubtful(b"XFSB" + bytes(96) + b"\xb4\xa5" + bytes(114) + b"\0\0\0\x0b" + bytes(3000), "xfs")
    freespace.refuse_doubtful(bytes(4096), "vfat")


def fat_image(path: Path, bits: int, entries: list[int], second: list[int] | None = None) -> fat.Layout:
    """A file that begins as a FAT filesystem with these entries, of clusters of 2 KiB."""
    clusters = {12: 1000, 16: 10000, 32: 70000}[bits]
    length = -(-(clusters + 2) * bits // 8 // 512) + 1
    root = 0 if bits == 32 else 512
    reserved = 32 if bits == 32 else 4
    total = reserved + 2 * length + root * 32 // 512 + clusters * 4
    boot = bytearray(512)
    struct.pack_into("<HBHBHHBH", boot, 11, 512, 4, reserved, 2, root, 0, 0xF8, 0 if bits == 32 else length)
    struct.pack_into("<I", boot, 32, total)
    struct.pack_into("<I", boot, 36, length if bits == 32 else 0x12345678 if bits == 12 else 0)
    tables = []
    for table in (entries, second or entries):
        full = table + [7] * (clusters + 2 - len(table))
        if bits == 12:
            pairs = zip(full[::2], [*full[1::2], 0])
            packed = b"".join((one | two << 12).to_bytes(3, "little") for one, two in pairs)
        else:
            packed = struct.pack(f"<{len(full)}{'H' if bits == 16 else 'I'}", *full)
        tables.append(packed.ljust(length * 512, b"\0"))
    path.write_bytes(boot.ljust(reserved * 512, b"\0") + b"".join(tables))
    shape = fat.layout(bytes(boot))
    assert (shape.bits, shape.clusters, shape.cluster) == (bits, clusters, 2048)
    assert shape.data == (reserved + 2 * length) * 512 + root * 32
    return shape


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_free_clusters(tmp_path: Path, bits: int) -> None:
    top = 0xF0000000 if bits == 32 else 0  # the highest bits are no part of the entry
    entries = [1, 1, 0, top, 5, 0, 9, 0, 0, 0, 3]
    shape = fat_image(tmp_path / "fat", bits, entries)
    fd = os.open(tmp_path / "fat", os.O_RDONLY)
    try:
        found = [item for batch in fat.free_ranges(fd) for item in batch]
    finally:
        os.close(fd)
    assert found == [Range(shape.data + (first - 2) * 2048, count * 2048) for first, count in ((2, 2), (5, 1), (7, 3))]


def test_free_is_what_both_tables_say(tmp_path: Path) -> None:
    shape = fat_image(tmp_path / "fat", 16, [1, 1, 0, 0, 0, 1], [1, 1, 0, 8, 0, 1])
    fd = os.open(tmp_path / "fat", os.O_RDONLY)
    try:
        found = [item for batch in fat.free_ranges(fd) for item in batch]
    finally:
        os.close(fd)
    assert found == [Range(shape.data, 2048), Range(shape.data + 4096, 2048)]


@pytest.mark.parametrize("boot", [b"", bytes(512), b"\xff" * 512])
def test_no_fat(boot: bytes) -> None:
    with pytest.raises(ValueError):
        fat.layout(boot)


def test_runs_of_free_clusters_as_one_by_one(tmp_path: Path) -> None:
    source = random.Random(5)
    entries = [1, 1]
    while len(entries) < 9000:
        entries += [source.choice((0, 9))] * source.choice((1, 2, 100, 255, 256, 700))
    shape = fat_image(tmp_path / "fat", 16, entries)
    fd = os.open(tmp_path / "fat", os.O_RDONLY)
    try:
        found = [item for batch in fat.free_ranges(fd) for item in batch]
    finally:
        os.close(fd)
    free = {number for number, entry in enumerate(entries) if entry == 0}
    seen = [(item.start - shape.data) // 2048 + 2 + at for item in found for at in range(item.length // 2048)]
    assert len(seen) == len(set(seen))
    assert set(seen) == free
    assert all(one.start + one.length < two.start for one, two in zip(found, found[1:]))


def test_why_it_is_not_known(tmp_path: Path) -> None:
    """What the child process finds wrong is what the user is told."""
    image = tmp_path / "image"
    image.write_bytes(bytes(8192))
    with pytest.raises(freespace.DoubtError, match="there is no ext superblock"):
        freespace.find(str(image), DevId(0, 0), 8192, "ext4", 60.0)
    with pytest.raises(freespace.DoubtError, match="No such file"):
        freespace.find(str(tmp_path / "none"), DevId(0, 0), 8192, "ext4", 60.0)
