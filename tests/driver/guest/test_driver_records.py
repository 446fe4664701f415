# SPDX-License-Identifier: GPL-2.0-or-later
"""Writers that know what they were promised: before, during and after hot copies are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import run
from tests.driver.guest.disks import SIZE, filesystem, partitions
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import info, take
from tests.driver.guest.records import Writer


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("ext4", marks=(pytest.mark.quick, pytest.mark.two_kernels)),
        pytest.param("xfs", marks=pytest.mark.one_kernel),
    ],
)
def test_acknowledged_records_are_there_and_later_ones_are_not(kind: str) -> None:
    with partitions(SIZE) as (node,), filesystem(kind, node) as fs:
        writers = [
            Writer(fs.path / "direct", 4096, direct=True),
            Writer(fs.path / "cached", 4096, direct=False),
            Writer(fs.path / "odd", 10_000, direct=False),
        ]
        fs.sync()
        copies = []
        with background(*writers) as workers:
            for number in range(1, 4):
                for worker in workers:
                    worker.wait_rounds(80)
                place = f"/run/copy{number}"
                copies.append((take(node, "-o", "-m", place), Path(place)))
                made = info(copies[-1][0])
                assert 0 < made.frozen_ns < 10_000_000_000
                for writer in writers:  # still writing
                    writer.check(Path(place) / writer.path.name, made.created_ns)
            for worker in workers:
                worker.wait_rounds(80)
        for copy, place_of_it in copies:
            run("sh", "-c", "echo 3 > /proc/sys/vm/drop_caches")
            for writer in writers:
                writer.check(place_of_it / writer.path.name, info(copy).created_ns)
        for copy, _ in copies:
            hcp("-r", copy)
