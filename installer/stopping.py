# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals: the program that runs is let end, since a package manager that is killed leaves half a database."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from hotcopy import output

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_asked: list[str] = []


class Stopped(Exception):  # noqa: N818  (not an error: it was asked for)
    """Somebody asked for it; no handler of errors may take it for one."""


def _ask(number: int, _frame: FrameType | None) -> None:
    _asked.append(signal.Signals(number).name)
    output.complain(f"hotcopy-install: {_asked[-1]}: stopping when the program that runs has ended")


def check() -> None:
    """Raises Stopped when a signal has asked for it."""
    if _asked:
        raise Stopped(_asked[0])


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Signals are noted, for check()."""
    before = {number: signal.signal(number, _ask) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()
