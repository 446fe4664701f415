# SPDX-License-Identifier: GPL-2.0-or-later
"""Random calls of /dev/hcp; make proof makes ten times as many, on every kernel."""

from __future__ import annotations

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest

pytestmark = pytest.mark.guest

CALLS = 5000


def test_random_calls(bench: Bench, any_kernel: str) -> None:
    """An error each, or nothing that matters; the hot copy there is stays as it was."""
    with Guest(bench, any_kernel) as guest:
        guest.run(f"cd /hotcopy && python3 -m tests.proof.guest.fuzz {CALLS} 1", timeout=200)
