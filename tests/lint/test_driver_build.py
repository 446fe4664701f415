"""The driver compiles against every kernel without a word from the compiler or from sparse."""

from __future__ import annotations

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.module import build_module

pytestmark = pytest.mark.quick


def complaints(bench: Bench, kernel: str, *, check: bool) -> str:
    """What the compiler (W=1) or sparse (C=2) says of our files."""
    found = bench.prepare(kernel).found
    return "\n".join(build_module(bench.cache, found, bench.driver, check=check).complaints)


def test_driver_builds_without_warning(bench: Bench, kernel: str) -> None:
    assert not complaints(bench, kernel, check=False)


def test_driver_is_sparse_clean(bench: Bench, sparse_kernel: str) -> None:
    """On the kernels whose headers package lets sparse run: see `sparse` in bench/kernels.py."""
    assert not complaints(bench, sparse_kernel, check=True)
