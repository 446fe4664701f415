# SPDX-License-Identifier: GPL-2.0-or-later
"""Every hcp that meets hot copies sees to it that their keeper runs: it may have been killed."""

from __future__ import annotations

from hotcopy import starter
from hotcopy.driver import Driver, HotCopy
from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def restart_keeper(driver: Driver, copies: Iterable[HotCopy]) -> None:
    """Starts the keeper again where there is work for one. Never fails: what hcp was asked to do comes first."""
    if any(copy.state == "active" for copy in copies):
        starter.ensure(driver)
