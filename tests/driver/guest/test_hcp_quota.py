# SPDX-License-Identifier: GPL-2.0-or-later
"""The floor of free space (-q): shown, respected by what hcp takes, and the end of the hot copy when others fill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import MIB, Filesystem, filesystem, partitions
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import attempt, copies, info, remove_all


@pytest.fixture(scope="module")
def fs() -> Iterator[Filesystem]:
    with partitions(128 * MIB) as (node,), filesystem("ext4", node, "-m", "0") as made:
        yield made


@pytest.fixture(autouse=True)
def clean(fs: Filesystem) -> Iterator[None]:
    yield
    remove_all()
    (fs.path / "ballast").unlink(missing_ok=True)


def free_percent(fs: Filesystem) -> float:
    status = os.statvfs(fs.path)
    return 100 * status.f_bavail / status.f_blocks


def fill(fs: Filesystem, percent: int) -> None:
    """Somebody else takes space until this much is free."""
    status = os.statvfs(fs.path)
    wanted = int((free_percent(fs) - percent) / 100 * status.f_blocks) * status.f_frsize
    run("fallocate", "-l", str(wanted), str(fs.path / "ballast"))


@pytest.mark.one_kernel
def test_it_is_shown(fs: Filesystem) -> None:
    hcp("--skip-mount", "-q", "12%", fs.node)
    assert " Free Space Floor:      12 %\n" in hcp("-l")
    assert json.loads(hcp("-l", "--json"))["hot_copies"][0]["floor_percent"] == 12
    hcp("--skip-mount", fs.node)
    assert info("/dev/hcp2").floor_percent == 12, "a further one has the floor of the one before"


@pytest.mark.one_kernel
def test_nothing_is_made_at_the_floor(fs: Filesystem) -> None:
    fill(fs, 30)
    status, text = attempt("-q", "30", fs.node)
    assert status == 1
    assert "no free space" in text and "30 %" in text
    assert not fs.store_names()
    hcp("--skip-mount", "-q", "20", fs.node)


@pytest.mark.one_kernel
@pytest.mark.quick
@pytest.mark.kernel_log(allow=r"hcp: .*floor")
def test_it_ends_when_others_fill_the_filesystem(fs: Filesystem) -> None:
    hcp("--skip-mount", "-q", "40", fs.node)
    fill(fs, 45)
    assert not eventually(lambda: info("/dev/hcp1").state != "active", 3)
    (fs.path / "more").write_bytes(bytes(10 * MIB))
    fs.sync()
    assert eventually(lambda: info("/dev/hcp1").state == "overflow", 10)
    text = hcp("-l")
    assert " State:                 overflow\n" in text
    assert "40 %" in info("/dev/hcp1").reason
    (fs.path / "more").unlink()
    hcp("-r", "hcp1")
    assert copies() == ()
