# SPDX-License-Identifier: GPL-2.0-or-later
"""From the samples of a run to the figures of the report; every share is of the baseline of its own round."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmark.plan import BASELINE, work

Sample = dict[str, Any]

# QEMU's throttle lets what it would allow in 100 ms pass at once after a pause: time that a work did not take, and
# that would favour the shorter of two.
CREDIT = 0.1


def pace(sample: Sample) -> float:
    """I/Os or bytes a second, until all old data was stored."""
    count = sample["ios" if work(sample["work"]).unit == "ios" else "bytes"]
    return float(count / (sample["settled_seconds"] + CREDIT))


@dataclass(frozen=True)
class Share:
    """A rate as a share of the undisturbed disk's: the median of the rounds, and how far they were apart."""

    middle: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Figures:
    """The samples of one run, and what is read from them; None where nothing was measured."""

    samples: tuple[Sample, ...]
    frozen: dict[str, tuple[float, ...]]  # seconds, by "quiet", "load" and "alone"
    command: dict[str, tuple[float, ...]]  # seconds, by "made" (not mounted), "mounted" and "python"

    @classmethod
    def of(cls, results: Iterable[dict[str, Any]]) -> Figures:
        """From what the guest reported."""
        rows = tuple(results)
        return cls(
            samples=tuple(row for row in rows if row["kind"] == "sample"),
            frozen={row["where"]: tuple(row["seconds"]) for row in rows if row["kind"] == "freeze"},
            command={row["where"]: tuple(row["seconds"]) for row in rows if row["kind"] == "command"},
        )

    def of_work(self, setup: str, work: str) -> dict[int, Sample]:
        """By round."""
        return {row["round"]: row for row in self.samples if row["setup"] == setup and row["work"] == work}

    def share(self, setup: str, work: str) -> Share | None:
        """How fast, against the baseline of the same round."""
        base = self.of_work(BASELINE, work)
        ratios = [pace(row) / pace(base[number]) for number, row in self.of_work(setup, work).items() if number in base]
        return Share(median(ratios), min(ratios), max(ratios)) if ratios else None

    def middle(self, setup: str, work: str, value: Callable[[Sample], float]) -> float | None:
        """The median over the rounds of something in a sample."""
        values = [value(row) for row in self.of_work(setup, work).values()]
        return median(values) if values else None

    def rate(self, setup: str, work: str) -> float | None:
        """Bytes or I/Os a second."""
        return self.middle(setup, work, pace)

    def latency(self, setup: str, work: str) -> float | None:
        """The 99th percentile of the writes, in milliseconds."""
        return self.middle(setup, work, lambda row: float(row["write_p99_ms"]))

    def disk_ios(self, setup: str, work: str) -> float | None:
        """I/Os of the disk for each of the work's."""
        return self.middle(setup, work, lambda row: row["disk_ios"] / row["ios"])

    def disk_bytes(self, setup: str, work: str) -> float | None:
        """Bytes to and from the disk for each of the work's."""
        return self.middle(setup, work, lambda row: row["disk_bytes"] / row["bytes"])

    def disk_reads(self, setup: str, work: str) -> float | None:
        """Bytes read from the disk for each byte of the work, which itself only writes."""
        return self.middle(setup, work, lambda row: row["disk_read_bytes"] / row["bytes"])

    def kept(self, setup: str, work: str) -> float | None:
        """Bytes of old data kept for each byte that was changed."""
        return self.middle(setup, work, lambda row: row["kept_bytes"] / row["bytes"])

    def busy(self, setup: str, work: str) -> float | None:
        """The share of the time in which the guest's CPU was not idle."""
        return self.middle(setup, work, lambda row: float(row["busy"]))

    def frozen_ms(self, where: str) -> float | None:
        """The median time a file system was frozen, in milliseconds."""
        times = self.frozen.get(where)
        return median(times) * 1000 if times else None

    def command_seconds(self, where: str) -> float | None:
        """The median time of the whole command."""
        times = self.command.get(where)
        return median(times) if times else None

    def rounds(self) -> int:
        """How many rounds there were."""
        return len({row["round"] for row in self.samples})
