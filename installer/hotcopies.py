# SPDX-License-Identifier: GPL-2.0-or-later
"""The hot copies there are, for who wants to take the driver away."""

from __future__ import annotations

from hotcopy import attach, system
from hotcopy.errors import HcpError
from hotcopy.output import Output
from installer.errors import InstallError
from installer.exitcodes import ExitCode


def active() -> tuple[str, ...]:
    """What hcp -l would list, as "/dev/hcp1 (of /dev/sda1)"; none without a driver."""
    driver = attach.attached()
    if driver is None:
        return ()
    with driver:
        return tuple(f"{copy.node} (of {copy.path})" for copy in driver.hot_copies())


def end_all(out: Output) -> None:
    """Ends every one. InstallError when some are in use."""
    try:
        status = system.stop_all(out)
    except HcpError as error:
        raise InstallError(error.cause, error.remedy, ExitCode.IN_USE) from error
    if status != 0:
        raise InstallError(
            f"hot copies are in use: {', '.join(active())}", "end what uses them, then run this again", ExitCode.IN_USE
        )
