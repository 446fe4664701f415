"""Which accelerator works here, found by booting: /dev/kvm may open and still hang a guest."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.driver.bench.bootfiles import BootFiles
from tests.driver.bench.cache import Cache
from tests.driver.bench.machine import Machine
from tests.driver.bench.progress import say, step

DEADLINE = 20.0
# The initramfs finds no root disk, says so and powers off: all a trial needs to show.
SIGN = "hotcopy-bench: no disk root"


def boots(accel: str, boot: BootFiles, deadline: float = DEADLINE) -> bool:
    """Whether a kernel reaches its first program with this accelerator."""
    with tempfile.TemporaryDirectory() as scratch:
        console = Path(scratch) / "console"
        argv = [*Machine().arguments(accel, boot), "-serial", f"file:{console}"]
        try:
            subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=deadline,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return console.exists() and SIGN in console.read_text(errors="replace")


def choose(cache: Cache, boot: BootFiles) -> str:
    """kvm when a trial boot succeeds, else tcg; the verdict holds until the host reboots."""
    chosen = os.environ.get("HOTCOPY_ACCEL")
    if chosen:
        return chosen
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    verdict = cache.root / "accelerator"
    with cache.lock("accelerator"):
        if verdict.exists():
            known, _, accel = verdict.read_text(encoding="ascii").partition(" ")
            if known == boot_id:
                return accel
        with step(f"trial boot with /dev/kvm (at most {DEADLINE:.0f} s)"):
            accel = "kvm" if boots("kvm", boot) else "tcg"
        say(f"accelerator: {accel}")
        verdict.write_text(f"{boot_id} {accel}", encoding="ascii")
    return accel
