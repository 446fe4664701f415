# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the driver can wait for all writes to a device that nobody freezes."""

from __future__ import annotations

from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.run import run
from hotcopy.sysfs import Sysfs

# Others (crypt, thin, delay) count a write only when they pass it on: accounts_remapped_io in drivers/md/.
_COUNTING = {"linear", "striped", "multipath"}


def counts_writes(sysfs: Sysfs, dev: DevId) -> bool:
    """Whether a write is in a queue or a counter of the device from when it is submitted until it is done."""
    if sysfs.holders(dev):
        return False  # what is built on it may have submitted a write that waits behind another of its own
    name = sysfs.dm_name(dev)
    if not name:
        return True  # the driver knows which disks have a queue
    try:
        done = run("dmsetup", "table", name, timeout=10)
    except HcpError:
        return False
    targets = {words[2] for words in map(str.split, done.out.splitlines()) if len(words) > 2}
    return not done.status and targets <= _COUNTING
