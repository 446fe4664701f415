# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of tests/driver/test_power_cut.py in the guest: python3 -m tests.driver.guest.power_cut STEP."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Callable

from tests.driver.guest.channel import mark
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB
from tests.driver.guest.records import SLOTS, number_of, numbers_in, record

ORIGIN = Path("/run/origin")
RECORDS = ORIGIN / "records"
# What was acknowledged must be remembered where the power cut does not reach: in the raw disk's last sectors,
# written past every cache after the acknowledgement.
LEDGER = ORIGIN / "ledger"
SIZE = 8192
SOON, LATER = 200, 900  # records
LOAD = ORIGIN / "load"
LOAD_SIZE = 160 * MIB
KEPT, KEPT_SIZE = 40, 4 * MIB  # one is deleted for 4 MiB of the load


def free() -> int:
    """Free blocks, when everything has been written back."""
    os.sync()
    return os.statvfs(ORIGIN).f_bfree


def prepare() -> None:
    """The files that will be written in place."""
    RECORDS.write_bytes(bytes(SLOTS * SIZE))
    LEDGER.write_bytes(bytes(4096))
    print(free())


def write() -> None:
    """Records for ever, each remembered in the ledger when it is safe."""
    records, ledger = (os.open(path, os.O_RDWR) for path in (RECORDS, LEDGER))
    number = 1
    while True:
        os.pwrite(records, record(number, SIZE), number % SLOTS * SIZE)
        os.fdatasync(records)
        os.pwrite(ledger, struct.pack("<Q", number), 0)
        os.fdatasync(ledger)
        if number == SOON:
            mark("written")
        if number == LATER:
            mark("more")
        number += 1


def check() -> None:
    """Every record that the ledger knows is there, and at most one that it does not."""
    (known,) = struct.unpack_from("<Q", LEDGER.read_bytes())
    assert known >= LATER, known
    found = list(numbers_in(RECORDS, SIZE))
    torn = (known + 1) % SLOTS  # was perhaps being written
    for slot, number in enumerate(found):
        expected = known - (known - slot) % SLOTS
        assert number == expected or (slot == torn and number in (known + 1, None)), (slot, number, known)
    assert number_of(record(1, SIZE)) == 1


def _kept(number: int) -> bytes:
    return struct.pack("<Q", number) * (KEPT_SIZE // 8)


def prepare_growth() -> None:
    """Files that will be deleted, and one that will be overwritten."""
    for number in range(KEPT):
        (ORIGIN / f"kept-{number}").write_bytes(_kept(number))
    LOAD.write_bytes(bytes(LOAD_SIZE))
    print(free())


def delete() -> None:
    """Makes the store grow, and deletes files without waiting for that: their blocks are what it may grow into."""
    number = 0
    with Direct(str(LOAD), os.O_RDWR) as file:
        for at in range(LOAD_SIZE // MIB):
            file.write(at * MIB, bytes([at % 255 + 1]) * MIB)
            if at % 4 == 3:
                (ORIGIN / f"kept-{number}").unlink()
                number += 1
            if at == LOAD_SIZE // MIB // 2:
                mark("deleting")  # and go on: nothing waits for the end


def check_growth() -> None:
    """A file that a crash brought back is as it was."""
    left = 0
    for number in range(KEPT):
        path = ORIGIN / f"kept-{number}"
        if path.exists():
            left += 1
            assert path.read_bytes() == _kept(number), number
    assert left >= KEPT // 2, left
    print(left)


STEPS: dict[str, Callable[[], None]] = {
    "prepare": prepare,
    "write": write,
    "check": check,
    "prepare-growth": prepare_growth,
    "delete": delete,
    "check-growth": check_growth,
    "free": lambda: print(free()),
}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
