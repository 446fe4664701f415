"""Boots a guest and shows what the demo in it says, line by line."""

from __future__ import annotations

import os
import sys
import time

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.progress import say

KERNEL = os.environ.get("KERNEL", "6.12")
SCRIPT = "/hotcopy/tests/demo/guest_demo.py"
TIMEOUT = 240.0


def main() -> int:
    """Run the demo; its exit status, or 1 when the guest did not live to tell it."""
    begin = time.monotonic()
    bench = Bench()
    bench.prepare(KERNEL)
    bench.module(KERNEL)
    say(f"booting a guest with kernel {KERNEL} ({bench.accelerator()}) ...")
    with Guest(bench, KERNEL, Machine(disks=(Disk("data0"),))) as guest:
        say(f"kernel {guest.ready['release']} is up after {guest.boot_seconds:.1f} s")
        status = guest.stream(["python3", SCRIPT], sys.stdout, timeout=TIMEOUT)
    say(f"demo {'done' if status == 0 else 'FAILED'} in {time.monotonic() - begin:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
