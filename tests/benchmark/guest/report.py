# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines to the host: JSON objects for results, plain text for people."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmark.lines import SIGN


def report(kind: str, **fields: Any) -> None:
    """One result."""
    print(SIGN + json.dumps({"kind": kind, **fields}), flush=True)


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)
