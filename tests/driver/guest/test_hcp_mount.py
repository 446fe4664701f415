# SPDX-License-Identifier: GPL-2.0-or-later
"""Where hot copies are mounted, and where their origins are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.driver.guest.commands import run
from tests.driver.guest.hcp import hcp, refused
from tests.driver.guest.origins import Origin, hot_copies, leaves_nothing, origin_on, unmount


@pytest.mark.one_kernel
@pytest.mark.parametrize("words", [("-m", "{}/"), ("--mount-point={}",), ("--mount", "{}//")])
def test_mount_point(ext4: Origin, tmp_path: Path, words: tuple[str, ...]) -> None:
    where = tmp_path / "copy"
    where.mkdir()
    out = hcp(ext4.node, *(word.format(where) for word in words))
    assert f"Hot Copy mounted at: {where}\n" in out
    assert f"/dev/hcp1 on {where} type ext4" in run("mount")
    hcp("-r", f"{where}/")
    assert not where.is_mount()
    assert where.is_dir()


@pytest.mark.one_kernel
def test_mount_point_is_made_and_may_have_a_space(ext4: Origin, tmp_path: Path) -> None:
    where = tmp_path / "new place" / "copy"
    hcp("-m", str(where), ext4.node)
    assert where.is_mount()
    (line,) = [line for line in hcp("-l").splitlines() if "Mounted:" in line]
    assert line.split() == ["Mounted:", str(where).replace(" ", "\\040")]
    assert hot_copies()[0]["mount_points"] == [str(where)]
    hcp("-r", str(where))


@pytest.mark.one_kernel
def test_origin_mounted_in_a_directory_with_a_space() -> None:
    with origin_on("ext4", path="/run/a place") as origin, leaves_nothing(origin):
        out = hcp(origin.node)
        assert "Changed blocks stored: /run/a place/.hotcopy\n" in out
        assert "/run/a place/.hotcopy" in hcp("-l")
        hcp("-r", origin.node)


@pytest.mark.one_kernel
def test_bind_mounts(ext4: Origin) -> None:
    part, sub = Path("/run/part-of-it"), ext4.path / "sub"
    sub.mkdir()
    part.mkdir(exist_ok=True)
    run("mount", "--bind", str(sub), str(part))
    try:
        with leaves_nothing(ext4):
            hcp(ext4.node)
            assert ext4.store_names()
            hcp("-r", ext4.node)
        run("umount", str(ext4.path))
        refused(ext4.node, parts=("/sub", "mount the whole filesystem"))
        assert sorted(os.listdir(part)) == []
        run("mount", ext4.node, str(ext4.path))
    finally:
        unmount(part)


@pytest.mark.one_kernel
def test_user_files_in_the_default_mount_point_stay(ext4: Origin) -> None:
    where = ext4.default_mount
    where.mkdir(parents=True)
    try:
        (where / "mine").write_text("kept")
        hcp(ext4.node)
        assert where.is_mount()
        hcp("-r", "hcp1")
        assert (where / "mine").read_text() == "kept"
    finally:
        unmount(where)
        shutil.rmtree(where)
