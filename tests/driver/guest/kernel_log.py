"""What a healthy kernel neither logs nor is tainted by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

BAD = re.compile(
    r"""
    ^WARNING:\  | \bBUG:\  | kernel\ BUG\ at | \bOops:\  | \bOops\b.*\[\#\d+\] | Call\ Trace: | general\ protection\ fault
    | Kernel\ panic | Unable\ to\ handle\ kernel | unable\ to\ handle\ page\ fault
    | possible\ circular\ locking | possible\ recursive\ locking | inconsistent\ lock\ state
    | INFO:\ (rcu|task|trying|possible|lockdep|suspicious) | suspicious\ RCU | blocked\ for\ more\ than
    | rcu:?.*detected\ stalls? | self-detected\ stall | soft\ lockup | hard\ LOCKUP
    | list_(add|del)\ corruption | refcount_t: | KASAN: | UBSAN: | KCSAN: | bad\ page\ state
    | scheduling\ while\ atomic | sleeping\ function\ called
    | [Ii]/O\ error | Buffer\ I/O\ error | critical\ (target|medium|space)\ error
    | EXT4-fs\ (error|warning) | EXT4-fs\ .*:\ error | JBD2:.*(error|[Dd]etected) | Aborting\ journal
    | XFS\ .*([Cc]orruption|[Ee]rror|[Ss]hut) | Metadata\ corruption
    | BTRFS\ (error|critical) | Remounting\ filesystem\ read-only | lost\ async\ page\ write
    | page\ allocation\ failure | Out\ of\ memory: | oom-kill
    | ODEBUG: | kmemleak:.*(new\ suspected|disabled|[Cc]annot)
    | workqueue:.*hogged.*hcp | Object\ .*\ was\ not\ freed | kmem_cache.*still\ has\ objects
    """,
    re.VERBOSE,
)

# Bits of /proc/sys/kernel/tainted (Documentation/admin-guide/tainted-kernels.rst) that an
# unsigned module from outside the tree brings, or that the kernel has by itself: O, E.
EXPECTED_TAINT = (1 << 12) | (1 << 13)
FLAGS = "PFSRMBUDAWCIOELKXTNJ"


def bad_lines(lines: Iterable[str], allow: Iterable[str] = ()) -> Iterator[str]:
    """The lines that tell of trouble, less those that an allowed pattern fits."""
    allowed = [re.compile(pattern) for pattern in allow]
    for line in lines:
        if BAD.search(line) and not any(pattern.search(line) for pattern in allowed):
            yield line


def unexpected_taint(value: int) -> str:
    """The letters of the flags that nothing in a test explains."""
    rest = value & ~EXPECTED_TAINT
    return "".join(FLAGS[bit] if bit < len(FLAGS) else f"?{bit}" for bit in range(64) if rest >> bit & 1)
