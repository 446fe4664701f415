# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a hot copy and of its store, for removal and for what failed half-way."""

from __future__ import annotations

from hotcopy import sessions, starter
from hotcopy.driver import Driver, HotCopy


def finish(driver: Driver, copy: HotCopy) -> tuple[str, ...]:
    """Unmounts and ends the hot copy, and deletes its store after the last one of its origin.

    Returns lines for the user where the space has to wait. HcpError when the hot copy is still there.
    """
    parts = driver.stores(copy.minor)
    sessions.end(driver, copy)
    if not driver.hot_copies():
        starter.await_end(driver)
    in_use = driver.stores_in_use()
    let_go = {part.device for part in parts if part.ino and (part.device, part.ino) not in in_use}
    remarks = [sessions.give_back(device, in_use) for device in sorted(let_go)]
    return tuple(remark for remark in remarks if remark is not None)
