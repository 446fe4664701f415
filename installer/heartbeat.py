# SPDX-License-Identifier: GPL-2.0-or-later
"""A word every few seconds from a step that takes longer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from installer.session import Session

EVERY = 10.0  # seconds
FIRST = 2.0  # until the first word
_WIDTH = 100


@contextlib.contextmanager
def beating(session: Session) -> Iterator[None]:
    """While the block runs, says how long it has taken and what the program that runs said last."""
    over = threading.Event()
    begin = time.monotonic()

    def beat() -> None:
        pause = FIRST
        while not over.wait(pause):
            pause = EVERY
            session.progress.line(
                f"    ... {time.monotonic() - begin:.0f} s {session.runner.last_words()[:_WIDTH]}".rstrip()
            )

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
