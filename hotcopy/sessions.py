# SPDX-License-Identifier: GPL-2.0-or-later
"""What creation and removal share: ending a hot copy at the driver, and giving its store's space back."""

from __future__ import annotations

import errno
import os
import time

from hotcopy import mounting, mounts, nodes, store
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy
from hotcopy.errors import DriverError, HcpError
from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_BUSY_PATIENCE = 5.0  # seconds: udev looks into every new or closed device for a moment


def describe(copies: Iterable[HotCopy]) -> str:
    """``/dev/hcp1 (of /dev/sda1), …`` for messages."""
    return ", ".join(f"{copy.node} (of {copy.path})" for copy in copies)


def end(driver: Driver, copy: HotCopy) -> None:
    """Unmounts the hot copy everywhere, ends it, and removes the directory hcp chose for it. HcpError."""
    mounting.unmount_all(copy.device, copy.node)
    deadline = time.monotonic() + _BUSY_PATIENCE
    while True:
        try:
            driver.remove(copy.minor)
            break
        except DriverError as error:
            if error.errno != errno.EBUSY:
                raise
            if time.monotonic() > deadline:
                raise _busy(copy) from error
            time.sleep(0.02)
    nodes.vanish(copy.node, copy.device)
    mounting.remove_default(copy.name)


def _busy(copy: HotCopy) -> HcpError:
    from hotcopy import holders

    who = holders.of(copy.device)
    try:
        above = ", ".join(f"/dev/{name}" for name in os.listdir(f"/sys/dev/block/{copy.device}/holders"))
    except OSError:
        above = ""
    by = " and ".join(part for part in (who, above) if part) or "something (fuser -v shows what)"
    return HcpError(f"{copy.node} is in use by {by}", f"end that, then hcp -r {copy.node}")


def give_back(where: DevId, in_use: Collection[tuple[DevId, int]]) -> str | None:
    """Deletes the stores on ``where`` that nothing uses. Returns a line for the user when the space has to wait."""
    here = mounts.of_device(mounts.read(), where)
    mount = mounts.whole_and_writable(here)
    later = "The space of its changed blocks comes back with the next hcp there"
    if mount is None:
        if not here:
            return None  # nobody has it mounted: the next hcp of it, or the next boot, deletes it
        return f"{later}: {here[0].mount_point} is read-only."
    try:
        root = os.open(mount.mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return f"{later}: {mount.mount_point}: {error.strerror}."
    try:
        store.clean(root, in_use)
    except OSError as error:
        return f"{later}: {mount.mount_point}: {error.strerror}."
    finally:
        os.close(root)
    return None
