# SPDX-License-Identifier: GPL-2.0-or-later
"""Kinds of devices that are not simply there: RAID, encryption, thin volumes, SCSI, NVMe; as context managers."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import size_of
from tests.driver.guest.disks import MIB, is_block, settle

SPARE = os.path.realpath("/dev/disk/by-id/virtio-spare")
SCSI_DEBUG = Path("/sys/bus/pseudo/drivers/scsi_debug")


def queue_of(node: str) -> Path:
    """The limits of a whole device."""
    return Path("/sys/class/block") / os.path.basename(os.path.realpath(node)) / "queue"


def block_size(node: str) -> int:
    """What direct writes must be whole numbers of."""
    return int((queue_of(node) / "logical_block_size").read_text(encoding="ascii"))


@contextlib.contextmanager
def raid(level: int, *members: str) -> Iterator[str]:
    """An MD RAID of these devices, in sync from the beginning."""
    node = "/dev/md78"
    if level == 5:  # taken to be clean, so that the parity must be right
        for member in members:
            run("dd", "if=/dev/zero", f"of={member}", "bs=1M", f"count={size_of(member) // MIB}", "oflag=direct")
    options = ("--run", f"--level={level}", "--metadata=1.2", f"--raid-devices={len(members)}")
    clean = () if level == 0 else ("--bitmap=none", "--assume-clean")
    chunk = () if level == 1 else ("--chunk=64",)
    run("mdadm", "--create", node, *options, *clean, *chunk, *members)
    settle()
    try:
        yield node
    finally:
        settle()
        run("mdadm", "--stop", node)
        for member in members:
            run("mdadm", "--zero-superblock", member)


@contextlib.contextmanager
def encrypted(device: str) -> Iterator[str]:
    """LUKS on this device, which passes discards on."""
    run("modprobe", "dm_crypt")
    key = Path("/run/key")
    key.write_bytes(b"hot copy")
    try:
        # As few iterations as it takes: nobody guesses this key.
        run(
            *("cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2"),
            *("--pbkdf-force-iterations", "1000", "--key-file", str(key), device),
        )
        run("cryptsetup", "open", "--allow-discards", "--key-file", str(key), device, "hcpcrypt")
        settle()
        try:
            yield "/dev/mapper/hcpcrypt"
        finally:
            settle()
            run("cryptsetup", "close", "hcpcrypt")
            run("wipefs", "-qa", device)
    finally:
        key.unlink()


@contextlib.contextmanager
def thin_volume(disk: str, size: int) -> Iterator[str]:
    """An LVM volume out of a thin pool, which allocates as it is written: its /dev/mapper node."""
    settle()
    run("wipefs", "-qa", disk)
    run("pvcreate", "-q", "-ffy", disk)
    run("vgcreate", "-q", "hcpvg", disk)
    try:
        mib = size // MIB
        # New chunks are zeroed (-Zy): else what was never written changes when its neighbour is.
        run("lvcreate", "-q", "-y", "-Zy", "-T", "-L", f"{mib + 32}m", "-V", f"{mib}m", "-n", "origin", "hcpvg/pool")
        settle()
        yield "/dev/mapper/hcpvg-origin"
    finally:
        settle()
        run("vgremove", "-q", "-ff", "-y", "hcpvg")
        run("pvremove", "-q", "-ff", "-y", disk)


def _scsi_nodes() -> list[str]:
    return [f"/dev/{path.name}" for path in SCSI_DEBUG.glob("adapter*/host*/target*/*/block/*")]


def scsi_load(*options: str) -> str:
    """One emulated SCSI disk, which keeps its data in memory: its node."""
    assert not SCSI_DEBUG.exists(), "scsi_debug is loaded already, with a disk of another size"
    for module in ("sd_mod", "scsi_debug"):
        run("modprobe", module, *(("delay=0", "lbpu=1", "lbpws=1", *options) if module == "scsi_debug" else ()))
    assert eventually(lambda: any(is_block(node) for node in _scsi_nodes())), "no disk of scsi_debug"
    settle()
    (node,) = _scsi_nodes()
    return node


def scsi_unload() -> None:
    """The disk and its driver are gone: nobody holds on to them."""
    settle()
    # udev may look at the disk once more.
    assert eventually(lambda: subprocess.call(("rmmod", "scsi_debug")) == 0), "scsi_debug is in use"
    assert not SCSI_DEBUG.exists()


@contextlib.contextmanager
def scsi_disk(size: int, *options: str) -> Iterator[str]:
    """An emulated SCSI disk for the time of a with block."""
    node = scsi_load(f"dev_size_mb={size // MIB}", *options)
    try:
        yield node
    finally:
        scsi_unload()


def nvme_disk() -> str:
    """The machine's NVMe disk."""
    run("modprobe", "nvme")
    assert eventually(lambda: is_block("/dev/nvme0n1")), "no NVMe disk"
    settle()
    return "/dev/nvme0n1"
