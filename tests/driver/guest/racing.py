# SPDX-License-Identifier: GPL-2.0-or-later
"""Readers of a hot copy at the very places where its origin is being written."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Callable

from tests.driver.guest.background import Beat
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import OTHER_DISK
from tests.driver.guest.truth import Range, Truth, blanked


def reader(
    node: str, truth: Truth, places: Sequence[Range], store: Sequence[Range], seed: int
) -> Callable[[Beat], None]:
    """A task that reads the hot copy anywhere in these places, 512 bytes to 1 MiB, and compares."""

    def task(beat: Beat) -> None:
        source = random.Random(seed)
        with Direct(node) as shown, Direct(OTHER_DISK) as kept:
            while beat():
                first, behind = source.choice(places)
                length = min(512 << source.randrange(12), behind - first)
                offset = first + source.randrange((behind - first - length) // 512 + 1) * 512
                if not shown.equals(offset, kept, truth.start + offset, length):
                    was = blanked(kept.held(length), offset, store)
                    assert shown.held(length) == was, f"{length} bytes at {offset} of {node}"

    return task
