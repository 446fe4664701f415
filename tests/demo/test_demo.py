# SPDX-License-Identifier: GPL-2.0-or-later
"""make demo, the first thing that anybody runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.driver.bench.run import run

TREE = Path(__file__).resolve().parents[2]


@pytest.mark.guest
def test_demo_passes() -> None:
    done = run([sys.executable, "-m", "tests.demo"], cwd=TREE, check=False, timeout=600)
    assert done.returncode == 0 and "VERDICT: PASSED" in done.stdout, done.stdout
