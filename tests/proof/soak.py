# SPDX-License-Identifier: GPL-2.0-or-later
"""make soak: an hour of mixed load in a small guest, hot copies coming and going; its memory must not grow."""

from __future__ import annotations

import argparse
import sys

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.kernels import KERNELS
from tests.driver.bench.machine import Disk, Machine

SMALL = Machine(disks=(Disk("data0"), Disk("data1")), memory="512M")


def main() -> int:
    """What the guest says, as it says it; its exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.proof.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--kernel", default="6.12", choices=[kernel.name for kernel in KERNELS])
    options = parser.parse_args()
    command = ["/bin/sh", "-c", f"cd /hotcopy && exec python3 -m tests.proof.guest.soak {options.minutes}"]
    with Guest(Bench(), options.kernel, SMALL) as guest:
        return guest.stream(command, sys.stdout, timeout=60 * options.minutes + 900)


if __name__ == "__main__":
    sys.exit(main())
