# SPDX-License-Identifier: GPL-2.0-or-later
"""A hot copy among the system's other devices: udev, LVM, and what the units run at start and stop."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotcopy import __version__, abi, attach, store, system
from hotcopy.driver import Driver, Origin, Segment
from hotcopy.errors import DriverError
from hotcopy.output import Output
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import DISK, MIB, OTHER_DISK, Filesystem, filesystem, partitions, raid1, settle
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import attempt, copies, remove_from_driver, take

RULES = Path("/hotcopy/packaging/common/59-hotcopy.rules")
INSTALLED = Path("/run/udev/rules.d") / RULES.name
# What an administrator, or another distribution, may have: it looks into every device and links what it finds.
CURIOUS = Path("/run/udev/rules.d/58-curious.rules")
CURIOUS_RULE = """\
SUBSYSTEM=="block", KERNEL=="hcp*", IMPORT{builtin}="blkid", SYMLINK+="disk/by-uuid/$env{ID_FS_UUID_ENC}"
"""
STOLEN = re.compile(r"ID_FS_TYPE=|disk/by-id|MD_|SYSTEMD_WANTS|LVM_")


def reload_rules() -> None:
    run("udevadm", "control", "--reload")


@pytest.fixture
def rules() -> Iterator[None]:
    """Our udev rules, as installed."""
    INSTALLED.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(RULES, INSTALLED)
    reload_rules()
    yield
    INSTALLED.unlink()
    CURIOUS.unlink(missing_ok=True)
    reload_rules()


def properties(node: str) -> str:
    """What udev has in its database about a device."""
    return run("udevadm", "info", "--query=property", node)


def event(action: str, *nodes: str) -> None:
    """An event as udevadm trigger makes it (for all block devices if none is named), and its end."""
    names = [f"--name-match={node}" for node in nodes] or ["--subsystem-match=block"]
    run("udevadm", "trigger", f"--action={action}", *names)
    settle()


def links(node: str) -> list[str]:
    """Every link below /dev/disk that leads to a device."""
    return sorted(str(path) for path in Path("/dev/disk").rglob("*") if os.path.realpath(path) == node)


def take_raw(origin: str, elsewhere: Filesystem) -> str:
    """A hot copy of a device that is not mounted, its store on another: straight from the driver."""
    root = os.open(elsewhere.path, os.O_RDONLY)
    bdevs = [os.open(node, os.O_RDONLY) for node in (origin, elsewhere.node)]
    made = store.make(root, str(elsewhere.path), 16 * MIB)
    try:
        with Driver() as driver:
            segment = Segment(made.file_fd, bdevs[1], made.extents)
            created = driver.create([Origin(bdevs[0], origin, str(elsewhere.path), False, segment)], [])
    finally:
        made.close()
        for fd in (root, *bdevs):
            os.close(fd)
    return f"/dev/hcp{created.minors[0]}"


@pytest.mark.kernel_independent
def test_links_stay_with_the_origin(rules: None) -> None:
    """By-uuid, by-label and by-partuuid, through every kind of event; UDisks does not show the hot copy."""
    with partitions(256 * MIB) as (part,), filesystem("ext4", part, "-L", "precious"):
        event("change", part)
        before = links(part)
        for kind in ("by-uuid", "by-label", "by-partuuid"):
            assert any(kind in link for link in before), before
        node = take(part)
        settle()
        for action, nodes in (("add", ()), ("change", (node,)), ("change", (part,)), ("add", (node,))):
            event(action, *nodes)
            assert links(part) == before
            assert links(node) == []
        assert "UDISKS_IGNORE=1" in properties(node)
        uuid = run("blkid", "-s", "UUID", "-o", "value", part).strip()
        assert run("findfs", f"UUID={uuid}").strip() == part
        assert run("blkid", "-L", "precious").strip() == part


@pytest.mark.one_kernel
def test_a_curious_rule_does_not_give_the_links_away(rules: None) -> None:
    """Without our rules it would, which is the control; with them, the origin has priority."""
    with filesystem("ext4", DISK) as origin:
        uuid = run("blkid", "-s", "UUID", "-o", "value", DISK).strip()
        link = f"/dev/disk/by-uuid/{uuid}"
        event("change", DISK)
        CURIOUS.write_text(CURIOUS_RULE, encoding="ascii")
        INSTALLED.unlink()
        reload_rules()
        node = take(origin.node)
        event("change", node)
        assert os.path.realpath(link) == node
        shutil.copy(RULES, INSTALLED)
        reload_rules()
        event("change", node)
        assert os.path.realpath(link) == origin.node
        event("change", origin.node)
        event("add", node)
        assert os.path.realpath(link) == origin.node


@pytest.mark.kernel_independent
def test_lvm_takes_the_origin(rules: None) -> None:
    """A hot copy of a physical volume: no duplicate, no warning, nothing activated, whatever udev finds out."""
    with filesystem("ext4", OTHER_DISK) as elsewhere:
        run("wipefs", "-qa", DISK)
        run("pvcreate", "-q", "-ffy", DISK)
        run("vgcreate", "-q", "hcpvg", DISK)
        try:
            run("lvcreate", "-q", "-y", "-Wn", "-Zn", "-n", "lv", "-L", "32m", "hcpvg")
            CURIOUS.write_text(CURIOUS_RULE, encoding="ascii")
            reload_rules()
            node = take_raw(DISK, elsewhere)
            settle()
            event("add", node)
            event("change", node)
            assert run("blkid", "-p", "-s", "TYPE", "-o", "value", node).strip() == "LVM2_member"
            assert not STOLEN.search(properties(node)), properties(node)
            for command in (("pvs", "--noheadings", "-o", "pv_name"), ("vgchange", "-aay"), ("vgck",)):
                text = run(*command)
                assert not re.search("hcp[0-9]|WARNING|uplicate", text), text
            assert run("pvs", "--noheadings", "-o", "pv_name").split() == [DISK]
            assert "hcp" not in run("pvs", "-a", "--noheadings", "-o", "pv_name").replace("hcpvg", "")
            remove_from_driver(node)
            settle()
        finally:
            run("vgremove", "-q", "-ff", "-y", "hcpvg")
            run("pvremove", "-q", "-ff", "-y", DISK)


@pytest.mark.kernel_independent
def test_md_and_btrfs_take_the_origin(rules: None) -> None:
    """A hot copy of a RAID member is not assembled, one of a btrfs device not scanned, whatever udev finds out."""
    with filesystem("ext4", OTHER_DISK, path="/run/elsewhere") as elsewhere:
        CURIOUS.write_text(CURIOUS_RULE, encoding="ascii")
        reload_rules()
        with partitions(64 * MIB, 64 * MIB, 160 * MIB) as (member, other, volume):
            with raid1(member, other):
                node = take_raw(member, elsewhere)
                settle()
                before = Path("/proc/mdstat").read_text(encoding="ascii")
                event("add", node)
                assert run("blkid", "-p", "-s", "TYPE", "-o", "value", node).strip() == "linux_raid_member"
                assert not STOLEN.search(properties(node)), properties(node)
                assert Path("/proc/mdstat").read_text(encoding="ascii") == before
                remove_from_driver(node)
                settle()
            run("mkfs.btrfs", "-q", "-f", "--mixed", volume)
            node = take_raw(volume, elsewhere)
            settle()
            event("add", node)
            assert run("blkid", "-p", "-s", "TYPE", "-o", "value", node).strip() == "btrfs"
            assert "BTRFS_READY" not in properties(node)
            remove_from_driver(node)
            settle()


@pytest.mark.one_kernel
def test_clean_deletes_what_a_crash_left(capfd: pytest.CaptureFixture[str]) -> None:
    """Only what no hot copy uses, and nothing in a hot copy, which shows its origin's store."""
    with filesystem("ext4", DISK) as origin, filesystem("xfs", OTHER_DISK, path="/run/other") as other:
        take(origin.node, "-m", "/run/hotcopy-mounted", "--store-size", "16M")
        used = origin.store_names()
        assert os.listdir("/run/hotcopy-mounted/.hotcopy") == used
        for place in (origin, other):
            root = os.open(place.path, os.O_RDONLY)
            store.make(root, str(place.path), 8 * MIB).close()
            os.close(root)
        assert len(origin.store_names()) == 2
        assert system.clean(Output()) == 0
        assert origin.store_names() == used
        assert os.listdir("/run/hotcopy-mounted/.hotcopy") == used
        assert not (other.path / ".hotcopy").exists()
        said = capfd.readouterr().out
        assert said == f"deleted 1 leftover store on {origin.path}\ndeleted 1 leftover store on {other.path}\n"
        assert system.clean(Output()) == 0
        assert capfd.readouterr().out == ""


@pytest.mark.one_kernel
def test_stop_all_gives_up_on_those_in_use(capfd: pytest.CaptureFixture[str]) -> None:
    """The others end; one that is mounted and in use is unmounted lazily, and ends when its user has gone."""
    with filesystem("ext4", DISK) as origin:
        take(origin.node, "--skip-mount", "--store-size", "16M")
        busy = take(origin.node, "-m", "/run/hotcopy-busy")
        take(origin.node, "-m", "/run/hotcopy-idle")
        run("mount", "-t", "tmpfs", "tmpfs", "/run/hotcopy-idle/lost+found")  # goes along
        with subprocess.Popen(("sleep", "1000"), cwd="/run/hotcopy-busy") as user:
            try:
                assert system.stop_all(Output()) == 1
                said = capfd.readouterr()
                assert f"{busy} (of {origin.node}) is in use by sleep ({user.pid})" in said.err
                assert re.findall(r"ended /dev/hcp(\d)", said.out) == ["3", "1"]
                assert [copy.node for copy in copies()] == [busy]
                assert not os.path.ismount("/run/hotcopy-busy")
                assert not os.path.ismount("/run/hotcopy-idle")
            finally:
                user.kill()
        assert eventually(lambda: system.stop_all(Output()) == 0)
        assert copies() == ()
        assert not (origin.path / ".hotcopy").exists()
        capfd.readouterr()
        assert system.stop_all(Output()) == 0
        assert capfd.readouterr().out == ""


@pytest.mark.one_kernel
def test_driver_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another interface is refused with both versions and a remedy; the same interface is only worth a note."""
    assert hcp("-l") == "No Hot Copy sessions\n"
    attach.attach().close()
    assert hcp("-v") == f"{__version__}\n"
    monkeypatch.setattr(attach, "__version__", "9.9")
    assert hcp("-v") == f"{__version__} (hcp is 9.9)\n"
    expected = rf"speaks interface {abi.ABI_VERSION}, hcp .* speaks 99$"
    monkeypatch.setattr(abi, "ABI_VERSION", 99)
    with pytest.raises(DriverError) as caught:
        Driver()
    assert re.search(expected, caught.value.cause)
    assert caught.value.errno_name == "EPROTO"
    for words in (("-l",), ("-r", "hcp1"), (DISK,)):
        status, text = attempt(*words)
        assert (status, text.count("\n")) == (1, 1), text
        assert text.endswith("; install hcp and the driver of the same version\n"), text
