# SPDX-License-Identifier: GPL-2.0-or-later
"""Which raw devices the driver can drain, on a made-up /sys and with a made-up dmsetup."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotcopy import counting
from hotcopy.devid import DevId
from hotcopy.sysfs import Sysfs

DEV = DevId(253, 7)


def device(root: Path, dm_name: str = "", holder: str = "") -> Sysfs:
    """One device of a /sys."""
    top = root / "dev/block/253:7"
    (top / "holders").mkdir(parents=True)
    if dm_name:
        (top / "dm").mkdir()
        (top / "dm/name").write_text(f"{dm_name}\n")
    if holder:
        (top / "holders" / holder).mkdir()
        (top / "holders" / holder / "dev").write_text("253:8\n")
    return Sysfs(str(root))


def dmsetup(root: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A dmsetup that does this."""
    path = root / "bin/dmsetup"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


def test_disks(tmp_path: Path) -> None:
    assert counting.counts_writes(device(tmp_path), DEV)


def test_below_something_else(tmp_path: Path) -> None:
    assert not counting.counts_writes(device(tmp_path, holder="dm-1"), DEV)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 0 100 linear 8:0 0; echo 100 100 striped 2 8 8:0 0 8:1 0", True),
        ("echo 0 100 linear 8:0 0; echo 100 100 crypt aes 0 8:0 0", False),
        ("echo 0 100 thin 253:1 5", False),
        ("exit 1", False),
    ],
)
def test_device_mapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: bool) -> None:
    dmsetup(tmp_path, monkeypatch, script)
    assert counting.counts_writes(device(tmp_path, dm_name="vg-lv"), DEV) is expected
