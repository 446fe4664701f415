"""The pure parts of the proof's half in the guest."""

from __future__ import annotations

from tests.driver.guest.kernel_log import bad_lines
from tests.proof.guest.no_memory import ALLOWED, unexplained

CALLERS = ["CPU: 0 UID: 0 PID: 100 Comm: python3", "Call Trace:", " <TASK>", " bioset_init+0x520/0x7b0", " </TASK>"]


def test_callers_of_a_cache_that_got_no_memory_are_no_report() -> None:
    """What the kernel shows of them passes; of anything else, behind it and without it, nothing does."""
    refused = ["__kmem_cache_create_args(bio-288) failed with error -12", *CALLERS]
    report = ["BUG: KASAN: slab-use-after-free in f", *CALLERS]
    assert list(unexplained([*refused, *report])) == report
    assert list(bad_lines(unexplained([*report, *refused]), ALLOWED)) == [
        "BUG: KASAN: slab-use-after-free in f",
        "Call Trace:",
    ]
