# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp -r``: the end of one hot copy, by any of its names."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from hotcopy import attach, checks, lock, mounts, sessions, signals
from hotcopy.devid import DevId
from hotcopy.driver import HotCopy
from hotcopy.errors import HcpError
from hotcopy.mounts import Mount
from hotcopy.output import Output

_NAME = re.compile(r"(?:/dev/)?hcp([1-9]\d*)")


def _unknown(text: str, copies: Sequence[HotCopy]) -> HcpError:
    remedy = f"there are {sessions.describe(copies)}" if copies else "there are none at all"
    return HcpError(f"there is no hot copy {text}", remedy)


def _only(text: str, found: Sequence[HotCopy], copies: Sequence[HotCopy]) -> HotCopy:
    if not found:
        raise _unknown(text, copies)
    if len(found) > 1:
        names = ", ".join(copy.node for copy in found)
        raise HcpError(f"{text} has several hot copies: {names}", f"give one of them: hcp -r {found[0].node}")
    return found[0]


def find(text: str, copies: Sequence[HotCopy], table: Sequence[Mount]) -> HotCopy:
    """The hot copy the user means by ``/dev/hcp1``, ``hcp1``, its mount point, or its origin. HcpError."""
    match = _NAME.fullmatch(text)
    if match is not None:
        return _only(text, [copy for copy in copies if copy.minor == int(match[1])], copies)
    try:
        status = os.stat(text)
    except (OSError, ValueError):
        return _only(text, [copy for copy in copies if copy.path == text], copies)  # an origin whose node is gone
    if stat.S_ISBLK(status.st_mode):
        dev = DevId.of(status.st_rdev)
        return _only(text, [copy for copy in copies if dev in (copy.device, copy.origin)], copies)
    mount = mounts.at(table, os.path.realpath(text))
    return _only(text, [copy for copy in copies if mount is not None and copy.device == mount.dev], copies)


def remove(text: str, out: Output) -> None:
    """Unmounts and ends the hot copy ``text`` names; deletes the store after the last one of its origin. HcpError."""
    checks.need_root()
    driver = attach.attached()
    if driver is None:
        raise HcpError(f"there is no hot copy {text}", "the driver is not loaded, so there are none at all")
    with driver, lock.held(), signals.deferred() as check:
        copy = find(text, driver.hot_copies(), mounts.read())
        check()
        sessions.end(driver, copy)
        out.line("Hot Copy Session has successfully been stopped.")
        remaining = driver.hot_copies()
        in_use = sessions.stores_in_use(remaining)
        if (copy.store, copy.store_ino) not in in_use:
            remark = sessions.give_back(copy.store, in_use)
            if remark is not None:
                out.line(remark)
        if not remaining:
            out.line("All active Hot Copy sessions have been stopped.")
