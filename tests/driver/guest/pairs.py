# SPDX-License-Identifier: GPL-2.0-or-later
"""One sequence of records written to several files in turn, and what copies of these at one instant may hold."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from tests.driver.guest.background import Beat
from tests.driver.guest.direct import Direct
from tests.driver.guest.records import SLOTS, numbers_in, record

SIZE = 8192


class Sequenced:
    """Record n goes to every file in order, each safe on its disk before the next; a task for background()."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        for path in paths:
            path.write_bytes(bytes(SLOTS * SIZE))

    def __call__(self, beat: Beat) -> None:
        """Until told to stop."""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(Direct(str(path), os.O_RDWR | os.O_DSYNC)) for path in self.paths]
            number = 1
            while beat():
                for file in files:
                    file.write(number % SLOTS * SIZE, record(number, SIZE))
                number += 1


def check(paths: Sequence[Path]) -> int:
    """The copies of the files are of one instant: each is as far as the one before, or one record less. The first's."""
    last = []
    for path in paths:
        found = list(numbers_in(path, SIZE))
        newest = max(number or 0 for number in found)
        assert newest > SLOTS, "the writer had hardly begun"
        assert found == [newest - (newest - slot) % SLOTS for slot in range(SLOTS)], f"{path}: {found}"
        last.append(newest)
    steps = [earlier - later for earlier, later in zip(last, last[1:])]
    assert all(step in (0, 1) for step in steps) and sum(steps) <= 1, f"not of one instant: {last}"
    return last[0]
