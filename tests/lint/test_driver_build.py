"""The driver compiles against every kernel without a word from the compiler or from sparse."""

from __future__ import annotations

import shutil

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.module import build_module
from tests.driver.bench.run import CommandError, in_chroot

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


def test_a_broken_compiler_is_named(bench: Bench, any_kernel: str) -> None:
    """Probes that all say "absent" because nothing compiles would build a driver for another kernel."""
    found = bench.prepare(any_kernel).found
    root = build_chroot(bench.cache, found)
    place = root / "tmp/hcp-broken-compiler"
    shutil.copytree(bench.driver / "compat", place, dirs_exist_ok=True)
    inside = f"/{place.relative_to(root)}"
    try:
        with pytest.raises(CommandError, match="a trivial module does not compile"):
            in_chroot(root, ["sh", f"{inside}/probe.sh", f"/lib/modules/{found.release}/build", inside, "CC=false"])
        assert not (place / "config.h").exists()
    finally:
        shutil.rmtree(place)
