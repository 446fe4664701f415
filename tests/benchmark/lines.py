# SPDX-License-Identifier: GPL-2.0-or-later
"""How results travel among the lines a guest prints."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

SIGN = "@result "


class Lines(io.StringIO):
    """A stream that hands on whole lines: results to one, all others to another."""

    def __init__(self, on_result: Callable[[dict[str, Any]], None], on_text: Callable[[str], None]) -> None:
        super().__init__()
        self._pending = ""
        self._on_result = on_result
        self._on_text = on_text

    def write(self, text: str, /) -> int:
        """Take in some text."""
        self._pending += text
        *lines, self._pending = self._pending.split("\n")
        for line in lines:
            if line.startswith(SIGN):
                self._on_result(json.loads(line[len(SIGN) :]))
            else:
                self._on_text(line)
        return len(text)
