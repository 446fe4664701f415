"""Progress lines: what is being done, and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_START = time.monotonic()


def say(text: str) -> None:
    """Print one line with the time since the start."""
    # The original stream: pytest replaces sys.stderr, and a long set-up must not be silent.
    stream = sys.__stderr__
    if stream is not None:
        stream.write(f"[{time.monotonic() - _START:6.1f}s] {text}\n")
        stream.flush()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say when a step begins, and when it ended or failed."""
    begin = time.monotonic()
    say(f"{text} ...")
    try:
        yield
    except BaseException:
        say(f"{text}: failed after {time.monotonic() - begin:.1f} s")
        raise
    say(f"{text}: {time.monotonic() - begin:.1f} s")
