# SPDX-License-Identifier: GPL-2.0-or-later
"""fio verifies what it wrote to the origin, by every way into the block layer, while hot copies come and go."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.driver.guest.commands import run
from tests.driver.guest.disks import SIZE, filesystem, partitions
from tests.driver.guest.hotcopies import copies, info, remove, take_bare

ENGINES = {
    "libaio": ("--ioengine=libaio", "--direct=1", "--iodepth=16"),
    "libaio-nowait": ("--ioengine=pvsync2", "--direct=1", "--nowait=0", "--numjobs=1"),
    "io_uring": ("--ioengine=io_uring", "--direct=1", "--iodepth=16"),
    "io_uring-buffered": ("--ioengine=io_uring", "--direct=0", "--iodepth=16", "--fsync=32"),
    "hipri": ("--ioengine=pvsync2", "--direct=1", "--hipri=1"),
}


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_verified_by_fio(engine: str) -> None:
    with partitions(SIZE["ext4"]) as (node,), filesystem("ext4", node) as fs:
        argv = [
            "fio",
            "--name=verify",
            f"--filename={fs.path}/fio",
            "--size=12M",
            "--rw=randwrite",
            "--bsrange=4k-128k",
            "--blockalign=4k",
            "--verify=crc32c",
            "--do_verify=1",
            "--verify_fatal=1",
            "--loops=3",
            "--randseed=1",
            *ENGINES[engine],
        ]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            rounds = 0
            while process.poll() is None:
                copy = take_bare(node, "--store-size", "40M") if not copies() else take_bare(node)
                assert info(copy).state == "active"
                rounds += 1
                if rounds % 3 == 0:
                    for held in copies():
                        remove(held.node)
            output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
        assert rounds >= 2
        assert "err= 0" in output, output
