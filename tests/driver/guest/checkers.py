"""What a kernel's own checkers have found and not logged: python3 -m tests.driver.guest.checkers; it prints nothing when all is well.

KASAN, UBSAN and the checks of objects, lists and locks log what they find, where KernelLog reads it. kmemleak has to be
asked, and lockdep stops without more ado after its first report, or when its tables are full.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

KMEMLEAK = Path("/sys/kernel/debug/kmemleak")
LOCKDEP = Path("/proc/lockdep_stats")
YOUNG = 6.0  # seconds; kmemleak reports nothing that was allocated in the last five
SCANS = 2  # what is moved from one object to another during a scan is missed by it


def leaks() -> Iterator[str]:
    """Every object that nothing points to, with the stack that allocated it."""
    if "kmemleak=off" in Path("/proc/cmdline").read_text(encoding="ascii").split():
        return
    time.sleep(YOUNG)
    for _ in range(SCANS):
        KMEMLEAK.write_text("scan", encoding="ascii")
    yield from re.split(r"^(?=unreferenced object)", KMEMLEAK.read_text(encoding="utf-8", errors="replace"), flags=re.M)


def complaints() -> Iterator[str]:
    """Leaks, and a lockdep that has stopped."""
    yield from filter(None, leaks())
    if not re.search(r"^ *debug_locks: +1$", LOCKDEP.read_text(encoding="ascii"), re.MULTILINE):
        yield "lockdep is not at work (any more)"


def main() -> None:
    """Print them."""
    for complaint in complaints():
        print(complaint)


if __name__ == "__main__":
    main()
