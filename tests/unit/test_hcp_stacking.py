# SPDX-License-Identifier: GPL-2.0-or-later
"""How devices and filesystems are built on each other: what is frozen and when, and which stores are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotcopy import checks, cycles, filesystems, mounts
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.filesystems import Filesystem, carried, in_freeze_order
from hotcopy.sysfs import Sysfs
from hotcopy.targets import Target
from tests.unit.sysfs_tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """/dev/sda with two partitions; the second holds a logical volume and half of another."""
    made = Tree(tmp_path / "sys")
    made.disk("sda", 8, 0)
    made.partition("sda", 1, 8, 1)
    made.partition("sda", 2, 8, 2)
    made.disk("sdb", 8, 16)
    made.disk("dm-0", 253, 0, "sda2")
    made.disk("dm-1", 253, 1, "sda2", "sdb")
    return made


SDA, SDA1, SDA2, SDB = DevId(8, 0), DevId(8, 1), DevId(8, 2), DevId(8, 16)
DM0, DM1 = DevId(253, 0), DevId(253, 1)


def mounted(dev: DevId, where: str, kind: str = "ext4") -> Filesystem:
    line = f"1 1 {dev} / {where} rw - {kind} /dev/x rw"
    return Filesystem(kind, (dev,), (mounts.parse_line(line),))


def test_relations(tree: Tree) -> None:
    sysfs = tree.sysfs
    assert sysfs.partitions(SDA) == (SDA1, SDA2)
    assert sysfs.holders(SDA2) == (DM0, DM1)
    assert sysfs.slaves(DM1) == (SDA2, SDB)
    assert [sysfs.disk(dev) for dev in (SDA1, SDA, DM0)] == [SDA, SDA, DM0]
    assert sysfs.name(DM0) == "dm-0"
    assert sysfs.by_name("sda2") == SDA2


def test_what_is_not_there_is_nothing(tree: Tree) -> None:
    gone = DevId(9, 9)
    assert tree.sysfs.name(gone) == ""
    assert tree.sysfs.partitions(gone) == tree.sysfs.holders(gone) == tree.sysfs.slaves(gone) == ()
    assert tree.sysfs.disk(gone) == gone
    assert not tree.sysfs.is_zoned(gone)
    assert not tree.sysfs.is_read_only(gone)


def test_zoned_counts_for_partitions_too(tree: Tree) -> None:
    tree.write("sda", "queue/zoned", "none")
    assert not tree.sysfs.is_zoned(SDA1)
    tree.write("sda", "queue/zoned", "host-managed")
    assert tree.sysfs.is_zoned(SDA1)
    assert tree.sysfs.is_zoned(SDA)


def test_multipath(tree: Tree) -> None:
    assert not tree.sysfs.is_multipath(DM0)
    tree.write("dm-0", "dm/uuid", "LVM-abc")
    assert not tree.sysfs.is_multipath(DM0)
    tree.write("dm-0", "dm/uuid", "mpath-36001")
    assert tree.sysfs.is_multipath(DM0)


def test_raid_that_relies_on_discards(tree: Tree) -> None:
    tree.write("dm-0", "md/level", "raid5")
    assert not tree.sysfs.mends_by_discards(DM0)
    parameters = Path(tree.sysfs.root) / "module/raid456/parameters"
    parameters.mkdir(parents=True)
    (parameters / "devices_handle_discard_safely").write_text("Y\n", encoding="ascii")
    assert tree.sysfs.mends_by_discards(DM0)
    assert not tree.sysfs.mends_by_discards(DM1)
    device = BlockDevice("/dev/sda", "/dev/sda", SDA, "sda", "sda", 1 << 30, read_only=False)
    with pytest.raises(HcpError, match=r"/dev/sda belongs to /dev/dm-0"):
        checks.refuse_device(Target(device, None, (), (SDA,)), (), tree.sysfs)


def test_a_whole_disk_freezes_everything_on_it(tree: Tree) -> None:
    table = [mounted(SDA1, "/boot"), mounted(DM0, "/"), mounted(DM1, "/data"), mounted(DevId(8, 32), "/other")]
    order = in_freeze_order([SDA], table, tree.sysfs)
    assert sorted(filesystem.place for filesystem in order) == ["/", "/boot", "/data"]
    assert set(carried([SDA], table, tree.sysfs)) == {SDA, SDA1, SDA2, DM0, DM1}


def test_a_member_freezes_what_is_on_the_array(tree: Tree) -> None:
    assert [fs.place for fs in in_freeze_order([SDB], [mounted(DM1, "/data")], tree.sysfs)] == ["/data"]


def test_upper_filesystems_come_first(tree: Tree, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.touch()
    below = DevId.of(os.stat(image).st_dev)  # the filesystem that the file is really on
    loop = tree.loop("loop0", 7, 0, image)
    tree.disk("under", below.major, below.minor)
    table = [mounted(below, "/lower"), mounted(loop, "/upper"), mounted(SDA1, "/boot")]
    for devices in ([below], [below, loop], [loop, below], [SDA1, below]):
        order = [filesystem.place for filesystem in in_freeze_order(devices, table, tree.sysfs)]
        assert order.index("/upper") < order.index("/lower")
        assert len(order) == len(set(order))


def test_what_cannot_be_written_is_not_frozen(tree: Tree) -> None:
    tree.write("sda1", "ro", "1")
    assert in_freeze_order([SDA], [mounted(SDA1, "/boot")], tree.sysfs) == ()


def test_one_filesystem_on_two_devices_is_frozen_once(tree: Tree) -> None:
    both = Filesystem("btrfs", (SDA1, SDA2), (mounts.parse_line("1 1 0:40 / /b rw - btrfs /dev/sda1 rw"),))
    assert in_freeze_order([SDA], [both], tree.sysfs) == (both,)
    assert filesystems.on([both], SDA2) == both
    assert filesystems.on([both], SDA) is None


def test_what_is_built_on_another_is_deeper(tree: Tree, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.touch()
    below = DevId.of(os.stat(image).st_dev)
    loop = tree.loop("loop0", 7, 0, image)
    tree.disk("under", below.major, below.minor)
    for upper, lower in ((loop, below), (DM0, SDA2), (DM0, SDA), (DM1, SDB)):
        assert cycles.depth(upper, tree.sysfs) > cycles.depth(lower, tree.sysfs)
    assert cycles.depth(SDA, tree.sysfs) == 0


def test_a_store_on_a_volume_of_the_same_disk_comes_back(tree: Tree) -> None:
    assert cycles.indirect(DM0, tree.sysfs) == {SDA2, SDA}
    assert cycles.comes_back(SDA, DM0, {}, tree.sysfs)
    assert cycles.comes_back(SDA2, DM0, {}, tree.sysfs)


@pytest.mark.parametrize(
    ("origin", "store"),
    [(SDA, SDA1), (SDA1, SDA1), (SDA, SDB), (DM0, DM0), (DM0, SDA1), (SDA1, DM0), (DM0, DM1)],
)
def test_a_store_that_the_driver_knows_by_place_is_fine(tree: Tree, origin: DevId, store: DevId) -> None:
    assert not cycles.comes_back(origin, store, {}, tree.sysfs)


def test_a_store_that_comes_back_by_way_of_another_origin(tree: Tree) -> None:
    tree.disk("sdc", 8, 32)
    dm2 = tree.disk("dm-2", 253, 2, "sdc")
    sdc = DevId(8, 32)
    assert cycles.comes_back(SDA, dm2, {sdc: {DM0}}, tree.sysfs)
    assert not cycles.comes_back(SDA, dm2, {sdc: {SDB}}, tree.sysfs)
    assert not cycles.comes_back(SDA, dm2, {}, tree.sysfs)
    assert not cycles.comes_back(DevId(8, 48), dm2, {sdc: {dm2}}, tree.sysfs), "somebody else's cycle ends too"


def test_a_store_in_a_file_of_the_origin_comes_back(tree: Tree, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.touch()
    below = DevId.of(os.stat(image).st_dev)
    loop = tree.loop("loop0", 7, 0, image)
    assert cycles.comes_back(below, loop, {}, tree.sysfs)
    assert not cycles.comes_back(loop, loop, {}, tree.sysfs)


def test_mounted_filesystems_of_this_machine() -> None:
    table = mounts.read()
    found = filesystems.read(table, Sysfs())
    assert all(filesystem.devices and filesystem.mounts for filesystem in found)
    assert not any(filesystem.fstype in ("proc", "tmpfs", "sysfs", "overlay") for filesystem in found)


def test_dax() -> None:
    for options, is_dax in (("rw,dax=always", True), ("rw,dax", True), ("rw,dax=inode", False), ("rw", False)):
        mount = mounts.parse_line(f"1 1 8:1 / /x rw - xfs /dev/x {options}")
        assert Filesystem("xfs", (SDA1,), (mount,)).is_dax == is_dax
