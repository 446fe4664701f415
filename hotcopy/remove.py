# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp -r``: the end of one hot copy, by any of its names, or of all."""

from __future__ import annotations

import os
import re
import stat

from hotcopy import attach, checks, ending, listing, lock, mounts, output, sessions, signals, upkeep
from hotcopy.device import real_name
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy
from hotcopy.errors import HcpError
from hotcopy.light import TYPE_CHECKING
from hotcopy.mounts import Mount
from hotcopy.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALL_STOPPED = "All active Hot Copy sessions have been stopped."
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
    text = real_name(text)
    try:
        status = os.stat(text)
    except (OSError, ValueError):
        return _only(text, [copy for copy in copies if copy.path == text], copies)  # an origin whose node is gone
    if stat.S_ISBLK(status.st_mode):
        dev = DevId.of(status.st_rdev)
        return _only(text, [copy for copy in copies if dev in (copy.device, copy.origin)], copies)
    mount = mounts.at(table, os.path.realpath(text))
    return _only(text, [copy for copy in copies if mount is not None and copy.device == mount.dev], copies)


def _attached(text: str) -> Driver:
    driver = attach.attached()
    if driver is None:
        raise HcpError(f"there is no hot copy {text}", "the driver is not loaded, so there are none at all")
    return driver


def _end(driver: Driver, copy: HotCopy, out: Output) -> None:
    remarks = ending.finish(driver, copy)
    out.line("Hot Copy Session has successfully been stopped.")
    for remark in remarks:
        out.line(remark)


def remove(text: str, out: Output) -> None:
    """Unmounts and ends the hot copy ``text`` names; deletes the store after the last one of its origin. HcpError."""
    checks.need_root()
    with _attached(text) as driver, lock.held(), signals.deferred() as check:
        copies = driver.hot_copies()
        copy = find(text, copies, mounts.read())
        check()
        _end(driver, copy, out)
        remaining = driver.hot_copies()
        upkeep.restart_keeper(driver, remaining)
        if not remaining:
            out.line(_ALL_STOPPED)


def remove_all(out: Output) -> None:
    """Ends every hot copy, the newest first, and goes on after a failure. HcpError tells every failure, at the end."""
    checks.need_root()
    driver = attach.attached()
    if driver is None:
        out.line(listing.NONE)
        return
    with driver, lock.held(), signals.deferred() as check:
        copies = driver.hot_copies()
        if not copies:
            out.line(listing.NONE)
            return
        failures: list[HcpError] = []
        for copy in sorted(copies, key=lambda copy: copy.sequence, reverse=True):
            check()
            out.line(f"Stopping {copy.node} (of {copy.path})")
            try:
                _end(driver, copy, out)
            except HcpError as error:
                output.complain(f"hcp: error: {error}")
                failures.append(error)
        remaining = driver.hot_copies()
        if not remaining:
            out.line(_ALL_STOPPED)
            return
        upkeep.restart_keeper(driver, remaining)
        raise HcpError(
            f"{len(failures)} of {len(copies)} hot copies are still there: {sessions.describe(remaining)}", "see above"
        )
