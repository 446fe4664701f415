# SPDX-License-Identifier: GPL-2.0-or-later
"""A small machine under more writes than it has memory for: hot copies come and go, nothing hangs, nobody is killed."""

from __future__ import annotations

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine

pytestmark = [pytest.mark.guest, pytest.mark.two_kernels, pytest.mark.beside]

SMALL = Machine(disks=(Disk("data0"), Disk("data1")), memory="512M")


def test_memory_pressure(bench: Bench, kernel: str) -> None:
    """Leaving the guest reads its log: a hung task, a failed allocation or a killed process is an error."""
    with Guest(bench, kernel, SMALL) as guest:
        guest.run("cd /hotcopy && python3 -m tests.driver.guest.memory_pressure", timeout=1000)
