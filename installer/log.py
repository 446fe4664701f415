# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of an installation, beside its journal, and what the user sees of it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from hotcopy.output import Output


class Log:
    """Lines with the time before them; a full disk does not stop what is logged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str) -> None:
        """Adds lines."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        lines = "".join(f"{stamp} {line}\n" for line in text.splitlines())
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(lines)


class Progress:
    """One line for each step, on standard output and in the log."""

    def __init__(self, out: Output, log: Log, *, silent: bool = False) -> None:
        self._out = out
        self._log = log
        self._silent = silent

    def line(self, text: str = "") -> None:
        """Says something."""
        self._log.write(text)
        if not self._silent:
            self._out.line(text)
