# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory is gone, when everything that comes and goes is left out."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path


def kept_for_later() -> int:
    """KiB of free pages that the kernel keeps for each processor, and does not count as free."""
    text = Path("/proc/zoneinfo").read_text(encoding="ascii")
    return sum(int(count) for count in re.findall(r"^\s+count:\s+(\d+)$", text, re.MULTILINE)) * mmap.PAGESIZE // 1024


def quiet_memory() -> dict[str, int]:
    """/proc/meminfo in KiB, without what can be dropped, and as if no process had memory of its own."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    found["MemAvailable"] += found["AnonPages"]
    return found
