# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of tests/driver/test_power_cut.py in the guest: python3 -m tests.driver.guest.power_cut STEP."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from tests.driver.guest.channel import mark
from tests.driver.guest.records import SLOTS, number_of, numbers_in, record

ORIGIN = Path("/run/origin")
RECORDS = ORIGIN / "records"
# What was acknowledged must be remembered where the power cut does not reach: in the raw disk's last sectors,
# written past every cache after the acknowledgement.
LEDGER = ORIGIN / "ledger"
SIZE = 8192
SOON, LATER = 200, 900  # records


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


if __name__ == "__main__":
    step = sys.argv[1]
    if step == "free":
        print(free())
    else:
        {"prepare": prepare, "write": write, "check": check}[step]()
