# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals that ask hcp to stop wait until it can stop without leaving something half made."""

from __future__ import annotations

from hotcopy import context
from hotcopy.errors import InterruptedByUserError
from hotcopy.light import TYPE_CHECKING, signal

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator
    from typing import Callable

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@context.contextmanager
def blocked() -> Iterator[None]:
    """Keeps the stopping signals from cutting one system call short with EINTR."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


@context.contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Notes the stopping signals instead of dying; the caller calls the result where stopping is safe.

    That call raises InterruptedByUserError when a signal has come. A signal after the last such call changes nothing: the
    work is done then. So when it is, and hcp has only to say so and to end, they go on being noted only: a hot copy would be
    there, and the status would be a failure's. After an error, which has undone everything, they do again what they did.
    A signal that was ignored at the start (nohup) stays ignored; children get the defaults.
    """
    arrived: list[int] = []

    def note(number: int, _frame: types.FrameType | None) -> None:
        arrived.append(number)

    def check() -> None:
        if arrived:
            from signal import Signals  # only here

            name = Signals(arrived[0]).name
            raise InterruptedByUserError(f"stopped by {name}", "what had been begun has been undone")

    old = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in old.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield check
    except BaseException:
        for number, handler in old.items():
            if handler is not None:
                signal.signal(number, handler)
        raise
