# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest tests about lifetimes where freed memory is overwritten at once: whoever still uses it, crashes.

``make debug-kernel`` finds more (KASAN), but it takes hours and is not part of make test; this is a parameter of every kernel.
"""

from __future__ import annotations

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.machine import Machine
from tests.driver.bench.session import Result, list_tests, run_tests

pytestmark = [pytest.mark.guest, pytest.mark.beside]

KERNEL = "6.12"
POISONED = Machine(append="slub_debug=FZP")
FILES = ("test_driver_lifetimes.py",)
FURTHER = ("test_driver_removal.py::test_removal_and_unload_under_load[ext4]",)


def test_nothing_is_used_after_it_was_freed(bench: Bench) -> None:
    tests = [test for test in list_tests() if test.name.split("::")[0] in FILES or test.name in FURTHER]
    results: list[Result] = []
    run_tests(bench, KERNEL, tests, results.append, POISONED)
    assert len(results) == len(tests) > len(FURTHER)
    failed = [f"{result.test}\n{result.detail}" for result in results if result.outcome != "passed"]
    assert not failed, "\n".join(failed)
