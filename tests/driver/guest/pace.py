"""How many times slower than Debian's this kernel is: the bench says so on the command line of one with checkers."""

from __future__ import annotations

import re
from pathlib import Path


def _said() -> int:
    found = re.search(r"\bbench\.slow=(\d+)", Path("/proc/cmdline").read_text(encoding="ascii", errors="replace"))
    return int(found[1]) if found else 1


SLOW = _said()
