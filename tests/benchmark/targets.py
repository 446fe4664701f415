# SPDX-License-Identifier: GPL-2.0-or-later
"""What Hot Copy has to reach, as data, and whether it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmark.figures import Figures
from tests.benchmark.plan import LOADED, setup, work


@dataclass(frozen=True)
class Target:
    """One figure with its bound; it may miss it by the tolerance, which is noise of the measurement."""

    measure: str  # a key of MEASURES
    setup: str
    work: str
    bound: float
    limit: str  # what nothing can be better than
    tolerance: float = 0.0

    @property
    def title(self) -> str:
        """For the reader."""
        return MEASURES[self.measure].title(self)


@dataclass(frozen=True)
class Measure:
    """How a figure is read, and which way is good."""

    value: Callable[[Figures, Target], float | None]
    title: Callable[[Target], str]
    at_least: bool


def _share(figures: Figures, target: Target) -> float | None:
    found = figures.share(target.setup, target.work)
    return found.middle if found else None


MEASURES = {
    "share": Measure(_share, lambda it: f"{work(it.work).title}; {setup(it.setup).title}", True),
    "kept": Measure(
        lambda figures, it: figures.kept(it.setup, it.work),
        lambda it: f"old bytes kept per byte changed, {it.work}; {setup(it.setup).title}",
        False,
    ),
    "read": Measure(
        lambda figures, it: figures.disk_reads(it.setup, it.work),
        lambda it: f"bytes read per byte changed, {it.work}; {setup(it.setup).title}",
        False,
    ),
    "frozen": Measure(
        lambda figures, it: figures.frozen_ms(it.work), lambda it: f"median frozen time, {it.work}, ms", False
    ),
    "command": Measure(
        lambda figures, it: figures.command_seconds(it.work), lambda it: f"the hcp command, {it.work}, s", False
    ),
}

TARGETS = (
    Target("share", "hcp1", "sparse", 0.47, "0.5"),
    Target("share", "hcp8", "sparse", 0.45, "0.5"),
    Target("read", "hcp1", "sparse", 1.3, "1"),
    Target("read", "hcp8", "sparse", 1.3, "1"),
    Target("kept", "hcp1", "sparse", 1.3, "1"),
    Target("kept", "hcp8", "sparse", 1.3, "1"),
    Target("share", "hcp1", "dense", 0.80, "1"),
    Target("share", "hcp8", "dense", 0.78, "1"),
    Target("share", "hcp1", "sequential", 0.32, "1/3"),
    Target("share", "hcp8", "sequential", 0.31, "1/3"),
    Target("share", "elsewhere1", "sequential", 0.48, "1/2"),
    Target("share", "hcp1", "again", 0.97, "1"),
    Target("share", "hcp8", "again", 0.97, "1"),
    Target("share", "hcp1", "new_file", 0.97, "1"),
    Target("share", "hcp8", "new_file", 0.97, "1"),
    Target("share", "hcp1", "read_sequential", 0.95, "1"),
    Target("share", "hcp8", "read_sequential", 0.95, "1"),
    # Equal to the baseline: two measurements of the same thing were seen to differ by 3 %.
    Target("share", LOADED, "sparse", 1.0, "1", tolerance=0.05),
    Target("share", LOADED, "sequential", 1.0, "1", tolerance=0.05),
    Target("frozen", "hcp1", "quiet", 5.0, "0"),
    Target("command", "hcp1", "made", 1.0, "0"),
    Target("command", "hcp1", "mounted", 1.0, "0"),
)


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; None when it was not."""

    target: Target
    value: float | None

    @property
    def missed(self) -> bool:
        """Measured, and not good enough."""
        if self.value is None:
            return False
        target = self.target
        if MEASURES[target.measure].at_least:
            return self.value < target.bound - target.tolerance
        return self.value > target.bound + target.tolerance

    @property
    def word(self) -> str:
        """For the reader."""
        if self.value is None:
            return "not measured"
        return "MISSED" if self.missed else "met"


def judge(figures: Figures, targets: tuple[Target, ...] = TARGETS) -> tuple[Verdict, ...]:
    """Every target."""
    return tuple(Verdict(target, MEASURES[target.measure].value(figures, target)) for target in targets)
