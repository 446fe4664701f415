# SPDX-License-Identifier: GPL-2.0-or-later
"""The devices that hcp takes, by every name they have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import (
    MIB,
    OTHER_DISK,
    Filesystem,
    filesystem,
    logical_volume,
    loop,
    partitions,
    settle,
)
from tests.driver.guest.hcp import hcp, refused
from tests.driver.guest.origins import Origin, hot_copies

SMALL = 64 * MIB


@pytest.mark.one_kernel
@pytest.mark.parametrize("how", ["by-id", "by-uuid", "own link", "relative"])
def test_links(ext4: Origin, tmp_path: Path, how: str) -> None:
    settle()
    uuid = run("blkid", "-p", "-s", "UUID", "-o", "value", ext4.node).strip()
    link = {"by-id": ext4.link, "by-uuid": f"/dev/disk/by-uuid/{uuid}", "own link": str(tmp_path / "link")}.get(how)
    if how == "own link":
        os.symlink(ext4.node, str(link))
    if link is None:
        link = ext4.name
    if how == "by-uuid":
        run("udevadm", "trigger", "--action=change", f"--name-match={ext4.node}")  # udev may have looked during mkfs
        assert eventually(lambda: os.path.exists(link))
    out = hcp(link, cwd="/dev")
    real = link if link.startswith("/") else f"/dev/{link}"
    assert f"Starting Hot Copy: {real}.\n" in out
    assert f"Hot Copy mounted at: {ext4.default_mount}\n" in out
    assert hot_copies()[0]["origin"] == real
    assert hcp("-s", ext4.node) == "/dev/hcp1\n"
    hcp("-r", link, cwd="/dev")


def taken(fs: Filesystem, name: str, label: str) -> None:
    """A hot copy of what has this name, mounted by its label, which keeps what the origin loses."""
    (fs.path / "file").write_text("old")
    out = hcp(name)
    assert f"Starting Hot Copy: {name}.\n" in out
    assert f"Hot Copy mounted at: /var/hotcopy/{label}_hcp1\n" in out
    (fs.path / "file").write_text("new")
    assert Path(f"/var/hotcopy/{label}_hcp1/file").read_text() == "old"


@pytest.mark.one_kernel
@pytest.mark.parametrize("form", ["/dev/hcpvg/origin", "/dev/mapper/hcpvg-origin"])
def test_lvm(form: str) -> None:
    with logical_volume(OTHER_DISK, 128 * MIB) as node, filesystem("ext4", node) as fs:
        taken(fs, form, "hcpvg-origin")
        refused(OTHER_DISK, parts=("no place on", "-c"))
        hcp("-r", form)


@pytest.mark.one_kernel
def test_partitions() -> None:
    with partitions(SMALL, SMALL, disk=OTHER_DISK) as (part, _), filesystem("ext4", part) as fs:
        taken(fs, part, os.path.basename(part))


@pytest.mark.one_kernel
def test_loop_device(ext4: Origin) -> None:
    with loop(ext4.path / "image", SMALL) as node, filesystem("ext4", node, path="/run/loop") as fs:
        refused(str(ext4.path / "image"), parts=("regular file", "losetup"))
        taken(fs, node, os.path.basename(node))
