# SPDX-License-Identifier: GPL-2.0-or-later
"""The works, and one measured run of each."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from tests.benchmark.guest.fio import Ran, fio, mixed, random_writes, reads, sequential_writes
from tests.benchmark.guest.place import MOUNTED, longest_extent
from tests.benchmark.guest.stages import Stage
from tests.benchmark.guest.watch import DiskUse, Watch
from tests.benchmark.plan import Sizes, Work
from tests.driver.guest.hotcopies import copies


def changed_bytes() -> int:
    """Old data that the hot copies keep."""
    return sum(copy.preserved_bytes for copy in copies())


@dataclass
class Works:
    """The works on one stage, in their order: some go on where others ended."""

    stage: Stage
    sizes: Sizes
    _overwritten: bool = field(default=False, init=False)  # whether "dense" came to its end: "again" builds on it

    def _run(self, name: str) -> Ran:
        sizes = self.sizes
        path = str(MOUNTED / name)
        # In milliseconds: fio drops what is behind the point.
        long, short, patient = (
            f"--runtime={seconds * 1000:.0f}ms" for seconds in (sizes.seconds, sizes.short, sizes.patience)
        )
        if name == "sparse":
            return fio(*random_writes(path, sizes.sparse), long)
        if name == "dense":
            ran = fio(*random_writes(path, sizes.dense), patient)
            self._overwritten = ran.io_bytes == sizes.dense
            return ran
        if name == "again":
            return fio(*random_writes(str(MOUNTED / "dense"), sizes.dense), "--time_based", long)
        if name == "sequential":
            return fio(*sequential_writes(path, sizes.sequential), f"--runtime={sizes.long * 1000:.0f}ms")
        if name == "new_file":
            return fio(*sequential_writes(path, sizes.new_file), "--fallocate=none", "--end_fsync=1", patient)
        if name == "mixed":
            return fio(*mixed(path, sizes.mixed), "--time_based", short)
        if name == "read_sequential":
            return fio(*reads(self.stage.snapshot, *longest_extent("sequential"), at_random=False), short)
        if name == "read_random":
            return fio(*reads(self.stage.snapshot, *longest_extent("sparse"), at_random=True), short)
        raise ValueError(name)

    def measure(self, work: Work) -> dict[str, Any] | None:
        """Do it once, wait until the disk owes nothing, and say what it took; None if it would mean nothing."""
        if work.name == "again" and not self._overwritten:
            return None
        os.sync()
        disk, kept = DiskUse.now(), changed_bytes()
        with Watch() as watch:
            ran = self._run(work.name)
        settled = watch.settled(ran.ended)
        used = DiskUse.now().since(disk)
        if work.name == "new_file":
            (MOUNTED / "new_file").unlink()
        return {
            "seconds": ran.seconds,
            "settled_seconds": settled - ran.begun,
            "ios": ran.ios,
            "bytes": ran.io_bytes,
            "write_p99_ms": ran.write_p99_ms,
            "busy": watch.busy(ran.begun, settled),
            "disk_ios": used.ios,
            "disk_bytes": used.nr_bytes,
            "disk_read_bytes": used.read_bytes,
            "kept_bytes": changed_bytes() - kept,
            "most_in_flight": watch.most_in_flight(),
        }
