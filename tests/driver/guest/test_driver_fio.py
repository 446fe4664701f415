# SPDX-License-Identifier: GPL-2.0-or-later
"""fio verifies what it wrote to the origin, by every way into the block layer, while hot copies come and go."""

from __future__ import annotations

import os
import subprocess

from tests.driver.guest.disks import ROOMY, SIZE, filesystem, partitions
from tests.driver.guest.hotcopies import copies, info, remove_all, take_bare

ENGINES = {
    "aio": "ioengine=libaio\ndirect=1\niodepth=16",
    "ring": "ioengine=io_uring\ndirect=1\niodepth=16",
    "cached": "ioengine=io_uring\ndirect=0\niodepth=16\nfsync=32",
    "polled": "ioengine=pvsync2\ndirect=1\nhipri=1",
    "mapped": "ioengine=mmap",
}
# Later ones refuse it on a queue that may not poll, as those of these disks.
LAST_POLLED_ANYWHERE = (6, 10)
POLLED_RING = "ioengine=io_uring\ndirect=1\nhipri=1\niodepth=4"
JOBS = """[global]
directory={}
size=3M
rw=randwrite
bsrange=4k-128k
blockalign=4k
verify=crc32c
do_verify=1
verify_fatal=1
loops=3
randseed=1
"""


def engines() -> dict[str, str]:
    """Those that this kernel has."""
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    return ENGINES if release > LAST_POLLED_ANYWHERE else {**ENGINES, "polled ring": POLLED_RING}


def test_verified_by_fio() -> None:
    chosen = engines()
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        jobs = JOBS.format(fs.path) + "".join(f"[{name}]\n{lines}\n" for name, lines in chosen.items())
        description = fs.path.parent / "jobs.fio"
        description.write_text(jobs, encoding="ascii")
        with subprocess.Popen(
            ("fio", str(description)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            rounds = 0
            while process.poll() is None:
                copy = take_bare(node) if copies() else take_bare(node, *ROOMY)
                assert info(copy).state == "active"
                rounds += 1
                if rounds % 3 == 0:
                    remove_all()
            output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
        assert rounds >= 1
        assert output.count("err= 0") == len(chosen), output
