"""The driver compiles against every kernel without a word from the compiler or from sparse."""

from __future__ import annotations

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.module import build_module

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("tool", ["compiler", "sparse"])
def test_driver_builds_clean(bench: Bench, kernel: str, tool: str) -> None:
    """W=1 and, where the suite's sparse can read this kernel's headers, C=2."""
    found = bench.prepare(kernel).found
    check = tool == "sparse"
    if check and not found.kernel.sparse:
        # Not a skip: this kernel's headers are checked by no sparse that Debian has.
        return
    built = build_module(bench.cache, found, bench.driver, check=check)
    assert not built.complaints, "\n".join(built.complaints)
