# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp -r: by every name, when it is busy, and what it gives back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.hcp import hcp, impatient, refused
from tests.driver.guest.origins import OTHER_LINK, Origin, hot_copies, leaves_nothing, mounts


@pytest.mark.one_kernel
@pytest.mark.parametrize("name", ["/dev/hcp1", "hcp1", "{mount}", "{mount}/", "{node}", "{link}"])
def test_remove_by_every_name(ext4: Origin, name: str) -> None:
    with leaves_nothing(ext4):
        hcp(ext4.node)
        out = hcp("-r", name.format(mount=ext4.default_mount, node=ext4.node, link=ext4.link))
        assert out.startswith("Hot Copy Session has successfully been stopped.\n")
        assert not ext4.default_mount.exists()
        assert eventually(lambda: not os.path.exists("/dev/hcp1"))


@pytest.mark.one_kernel
def test_remove_what_is_not_there(ext4: Origin) -> None:
    hcp(ext4.node)
    for name in ("/dev/hcp2", "hcp7", "/dev/nosuch", os.path.realpath(OTHER_LINK), "/run", str(ext4.path)):
        refused("-r", name, parts=("there is no hot copy", f"/dev/hcp1 (of {ext4.node})"))
    hcp("-r", "hcp1")
    refused("-r", "hcp1", parts=("there is no hot copy hcp1", "none at all"))


@pytest.mark.one_kernel
def test_device_alone_is_never_a_removal(ext4: Origin) -> None:
    hcp(ext4.node)
    refused("/dev/hcp1", status=2, parts=("hcp -r /dev/hcp1",))
    refused("/dev/../dev/hcp1", parts=("itself a hot copy", f"hcp {ext4.node}"))
    assert len(hot_copies()) == 1


@pytest.mark.one_kernel
def test_remove_unmounts_everywhere(ext4: Origin, tmp_path: Path) -> None:
    hcp(ext4.node)
    more = [tmp_path / "a", tmp_path / "b c"]
    for path in more:
        path.mkdir()
        run("mount", "/dev/hcp1", str(path))
    assert len(hot_copies()[0]["mount_points"]) == 3
    hcp("-r", "hcp1")
    assert "/dev/hcp1" not in mounts()


@pytest.mark.one_kernel
def test_remove_busy(ext4: Origin) -> None:
    hcp(ext4.node)
    where = str(ext4.default_mount)
    with subprocess.Popen(["sleep", "600"], cwd=where) as sleeper:
        try:
            with impatient():
                line = refused("-r", "hcp1", parts=(f"sleep ({sleeper.pid});", where))
            assert "in use" in line
        finally:
            sleeper.kill()
    assert len(hot_copies()) == 1
    hcp("-r", "hcp1")
    hcp("--skip-mount", ext4.node)
    with open("/dev/hcp1", "rb"), impatient():
        refused("-r", "hcp1", parts=(f"({os.getpid()})", "/dev/hcp1 is in use"))
    assert len(hot_copies()) == 1
    hcp("-r", "hcp1")


@pytest.mark.one_kernel
def test_remove_while_mounted_in_another_namespace(ext4: Origin) -> None:
    hcp(ext4.node)
    with subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "600"]) as other:
        try:
            own = os.readlink("/proc/self/ns/mnt")
            assert eventually(lambda: os.readlink(f"/proc/{other.pid}/ns/mnt") != own)
            with impatient():
                refused("-r", "hcp1", parts=(f"({other.pid}, mounted in its own namespace)", "hcp -r /dev/hcp1"))
        finally:
            other.kill()
    hcp("-r", "hcp1")
    assert not ext4.default_mount.exists()


@pytest.mark.one_kernel
def test_remove_after_remount_read_only(ext4: Origin) -> None:
    free = ext4.free()
    hcp(ext4.node)
    run("mount", "-o", "remount,ro", str(ext4.path))
    out = hcp("-r", "hcp1")
    assert out.startswith("Hot Copy Session has successfully been stopped.\n")
    assert str(ext4.path) in out
    refused(ext4.node, parts=("read-only", "remount,rw"))
    run("mount", "-o", "remount,rw", str(ext4.path))
    assert len(ext4.store_names()) == 1
    hcp("--skip-mount", ext4.node)
    assert len(ext4.store_names()) == 1
    hcp("-r", "hcp1")
    assert ext4.store_names() == []
    assert eventually(lambda: ext4.free() == free)
