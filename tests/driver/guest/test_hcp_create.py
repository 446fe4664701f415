# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp DEVICE on real disks with the real driver: what it says, makes and leaves alone."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from hotcopy import store
from tests.driver.guest.commands import eventually, fails, outcome, run
from tests.driver.guest.hcp import Running, hcp, refused, said
from tests.driver.guest.hotcopies import copies, info
from tests.driver.guest.origins import Origin, hot_copies, leaves_nothing, mounts

pytestmark = pytest.mark.two_kernels


@pytest.mark.quick
def test_creation_output(origin: Origin) -> None:
    lines = said((origin.node,), outcome("hcp", origin.node)).splitlines()
    begin = lines.index(f"Starting Hot Copy: {origin.node}.")
    banner = "\n".join(lines[:begin])
    assert not re.search("Mounted:|Virtual Device|Changed Blocks|No Hot Copy sessions", banner)
    patterns = (
        re.escape(f"Starting Hot Copy: {origin.node}."),
        re.escape(f"Changed blocks stored: {origin.path}/.hotcopy"),
        r"Snapshot completed: \d+\.\d{3} seconds",
        r"File system frozen: \d+\.\d{3} seconds",
        r"Hot Copy created: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \d{4}",
        r"Hot Copy created at: /dev/hcp1",
        r"Mounting /dev/hcp1 read-write",
        re.escape(f"Hot Copy mounted at: {origin.default_mount}"),
    )
    assert len(lines) - begin == len(patterns)
    for line, pattern in zip(lines[begin:], patterns):
        assert re.fullmatch(pattern, line), line
    assert origin.default_mount.is_mount()


def test_contents_are_apart(origin: Origin) -> None:
    (origin.path / "kept").write_text("old")
    (origin.path / "gone").write_text("old")
    hcp(origin.node)
    copy = origin.default_mount
    (origin.path / "kept").write_text("new")
    (origin.path / "gone").unlink()
    (origin.path / "later").write_text("new")
    run("sync")
    assert (copy / "kept").read_text() == "old"
    assert (copy / "gone").read_text() == "old"
    assert not (copy / "later").exists()
    (copy / "kept").write_text("private")
    run("sync")
    assert (origin.path / "kept").read_text() == "new"
    (state,) = hot_copies()
    assert state["changed_bytes"] > 0
    assert state["private_bytes"] > 0
    assert state["state"] == "active"


@pytest.mark.one_kernel
def test_skip_mount(origin: Origin) -> None:
    table = mounts()
    out = hcp("--skip-mount", origin.node)
    assert "Hot Copy created at: /dev/hcp1\n" in out
    assert "ounting" not in out
    assert mounts() == table
    (line,) = [line for line in hcp("-l").splitlines() if "Mounted:" in line]
    assert line.split() == ["Mounted:", "-"]
    assert not hot_copies()[0]["read_only"]
    hcp("-r", "hcp1")


@pytest.mark.one_kernel
@pytest.mark.parametrize("word", ["-o", "--read-only", "--read"])
def test_read_only(ext4: Origin, word: str) -> None:
    out = hcp(word, ext4.node)
    assert "Mounting /dev/hcp1 read-only\n" in out
    assert "noload" not in out
    assert run("blockdev", "--getro", "/dev/hcp1") == "1\n"


@pytest.mark.one_kernel
def test_read_only_contents(origin: Origin) -> None:
    (origin.path / "file").write_text("old")
    hcp("-o", origin.node)
    copy = origin.default_mount
    assert (copy / "file").read_text() == "old"
    with pytest.raises(OSError):
        (copy / "file").write_text("new")
    assert hot_copies()[0]["read_only"]
    fails("dd", "if=/dev/zero", "of=/dev/hcp1", "bs=4096", "count=1", "oflag=direct")


def test_store(origin: Origin) -> None:
    before = origin.free()
    hcp("--store-size", "32M", origin.node)
    directory = origin.path / ".hotcopy"
    (file,) = directory.iterdir()
    assert directory.stat().st_mode & 0o7777 == 0o700
    assert file.stat().st_mode & 0o7777 == 0o600
    assert file.stat().st_size == 0
    assert file.stat().st_blocks * 512 >= 32 << 20
    (state,) = hot_copies()
    assert state["store"] == str(directory)
    assert (31 << 20) < state["store_bytes"] <= file.stat().st_blocks * 512
    with pytest.raises(PermissionError):
        file.unlink()
    refused("--store-size", "32M", origin.node, parts=("share", "leave out --store-size"))
    hcp(origin.node)
    assert len(list(directory.iterdir())) == 1
    hcp("-r", "hcp1")
    assert file.exists()
    hcp("-r", "hcp2")
    assert not directory.exists()
    assert eventually(lambda: origin.free() == before)


@pytest.mark.one_kernel
def test_several_at_once(ext4: Origin) -> None:
    running = [Running("--skip-mount", ext4.node) for _ in range(3)]
    assert [command.wait(60).status for command in running] == [0, 0, 0]
    assert [copy.minor for copy in copies()] == [1, 2, 3]
    assert len(ext4.store_names()) == 1


def stays_away(path: Path) -> bool:
    """Whether it is not there for a second."""
    for _ in range(20):
        if path.exists():
            return False
        time.sleep(0.05)
    return True


@pytest.mark.kernel_independent
def test_frozen_filesystem(ext4: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a store hcp says so instead of hanging; with one it takes the hot copy and leaves the freeze alone."""
    monkeypatch.setattr(store, "_FROZEN_PATIENCE", 4.0)  # how long it waits says nothing about how it gives up
    with leaves_nothing(ext4):
        with ext4.frozen():
            refused("--skip-mount", ext4.node, parts=("frozen", "fsfreeze -u"))
        # The attempt that hcp gave up on goes on at the thaw, whenever that process is scheduled, and takes itself back.
        assert eventually(lambda: stays_away(ext4.path / ".hotcopy"))
    hcp("--skip-mount", ext4.node)
    with ext4.frozen():
        hcp("--skip-mount", ext4.node)
        fails("fsfreeze", "-f", str(ext4.path))
    assert len(copies()) == 2
    assert info("/dev/hcp2").state == "active"
    assert ext4.is_writable()
    # Nothing counts as frozen any more: what the kernel counts shows with the next freeze, and the next mount.
    hcp("--skip-mount", ext4.node)
    with ext4.frozen():
        pass
    hcp("-r", "--all")
    run("umount", ext4.node)
    run("mount", ext4.node, str(ext4.path))
    assert ext4.is_writable()
