# SPDX-License-Identifier: GPL-2.0-or-later
"""What hcp says when something stands in its way: a frozen filesystem below another, free blocks that nobody tells."""

from __future__ import annotations

import json

import pytest

from hotcopy import create
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import MIB, filesystem, loop, partitions
from tests.driver.guest.hcp import hcp, refused
from tests.driver.guest.hotcopies import copies

pytestmark = pytest.mark.two_kernels

SMALL = 80 * MIB


@pytest.mark.timeout(300)
def test_a_filesystem_on_a_frozen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dirty on the upper one cannot be written back: hcp says so, and leaves nothing."""
    monkeypatch.setattr(create, "_FROZEN_PATIENCE", 3.0)
    with (
        partitions(2 * SMALL) as (node,),
        filesystem("ext4", node, path="/run/outer") as outer,
        loop(outer.path / "image", SMALL) as inner_node,
        filesystem("ext4", inner_node, path="/run/inner") as inner,
    ):
        hcp("--skip-mount", node)
        with outer.frozen():
            (inner.path / "dirty").write_bytes(b"x" * MIB)
            refused("--skip-mount", node, parts=(f"{outer.path} is frozen", f"fsfreeze -u {outer.path}"))
        assert len(copies()) == 1
        with inner.frozen(), outer.frozen():
            hcp("--skip-mount", node)
        hcp("-r", "hcp2")
        assert eventually(lambda: "Hot Copy created at: /dev/hcp2\n" in hcp("--skip-mount", node))
        hcp("-r", "hcp2")
        hcp("-r", "hcp1")


def test_free_blocks_that_nobody_tells() -> None:
    """The store cannot grow then, and both the user and programs are told."""
    with partitions(SMALL) as (node,), filesystem("ext4", node) as fs:
        run("umount", str(fs.path))
        run("debugfs", "-w", "-R", "ssv state 2", node)
        run("mount", node, str(fs.path))
        text = hcp("--skip-mount", node)
        (line,) = [line for line in text.splitlines() if "does not grow" in line]
        assert "the filesystem has errors" in line and "(-c)" in line
        (state,) = json.loads(hcp("-l", "--json"))["hot_copies"]
        assert (state["free_known"], state["store_grows"]) == (False, False)
        assert " Store Grows:           no\n" in hcp("-l")
        hcp("-r", "hcp1")
        assert "does not grow" not in hcp("--skip-mount", "--store-size", "4M", node), "it was not asked to"
        hcp("-r", "hcp1")
        run("debugfs", "-w", "-R", "ssv state 1", node)
