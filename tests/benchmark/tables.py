# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of the report, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmark.figures import Figures
from tests.benchmark.plan import BASELINE, LATENCY_WORKS, LOADED, SETUPS, WORKS, SetUp, Work, work
from tests.benchmark.targets import MEASURES, Target, Verdict

NOTHING = "-"


@dataclass(frozen=True)
class Table:
    """Rows of text under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Columns as wide as their widest."""
        every = (self.head, *self.rows)
        widths = [max(len(row[column]) for row in every) for column in range(len(self.head))]
        lines = []
        for row in every:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
        return "\n".join(lines)

    def markdown(self) -> str:
        """The first column to the left, all others to the right."""
        rule = ("---", *("---:" for _ in self.head[1:]))
        return "\n".join("| " + " | ".join(row) + " |" for row in (self.head, rule, *self.rows))


def number(value: float | None, digits: int = 2) -> str:
    """Or a dash."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def quantity(value: float | None, unit: str) -> str:
    """A rate with its unit."""
    if value is None:
        return NOTHING
    return f"{value / 1e6:.1f} MB/s" if unit == "bytes" else f"{value:.0f}/s"


def measured(figures: Figures) -> tuple[SetUp, ...]:
    """The set-ups of this run."""
    names = {row["setup"] for row in figures.samples}
    return tuple(row for row in SETUPS if row.name in names)


def _grid(
    figures: Figures, works: Sequence[Work], columns: Sequence[SetUp], cell: Callable[[SetUp, Work], str]
) -> Table:
    rows = tuple((item.title, *(cell(row, item) for row in columns)) for item in works)
    return Table(("work", *(row.title for row in columns)), rows)


def shares(figures: Figures) -> Table:
    """The main one: shares of the undisturbed disk, whose own rates are in the first column."""

    def cell(row: SetUp, item: Work) -> str:
        if row.name == BASELINE:
            return quantity(figures.rate(BASELINE, item.name), item.unit)
        found = figures.share(row.name, item.name)
        return number(found.middle if found else None)

    return _grid(figures, WORKS, measured(figures), cell)


def spreads(figures: Figures) -> Table:
    """How far the rounds were apart."""

    def cell(row: SetUp, item: Work) -> str:
        found = figures.share(row.name, item.name)
        return f"{found.lowest:.2f} to {found.highest:.2f}" if found else NOTHING

    columns = [row for row in measured(figures) if row.name != BASELINE]
    return _grid(figures, WORKS, columns, cell)


def latencies(figures: Figures) -> Table:
    """99th percentile of the writes in milliseconds, and as a multiple of the undisturbed disk's."""

    def cell(row: SetUp, item: Work) -> str:
        value, base = figures.latency(row.name, item.name), figures.latency(BASELINE, item.name)
        if row.name == BASELINE or value is None or not base:
            return number(value, 1)
        return f"{value:.1f} ({value / base:.1f})"

    return _grid(figures, [work(name) for name in LATENCY_WORKS], measured(figures), cell)


def disk_use(figures: Figures) -> Table:
    """What the disk was asked for: I/Os and bytes for each of the work's."""

    def cell(row: SetUp, item: Work) -> str:
        ios, sent = figures.disk_ios(row.name, item.name), figures.disk_bytes(row.name, item.name)
        return NOTHING if ios is None else f"{number(ios)} / {number(sent)}"

    return _grid(figures, WORKS, measured(figures), cell)


def busyness(figures: Figures) -> Table:
    """The guest's CPU: near 1.00 it, and not the disk, has set the pace."""
    return _grid(figures, WORKS, measured(figures), lambda row, item: number(figures.busy(row.name, item.name)))


def bound(target: Target) -> str:
    """In words, with the noise that is allowed for."""
    text = f"{'at least' if MEASURES[target.measure].at_least else 'at most'} {target.bound:g}"
    return f"{text}, noise {target.tolerance:g}" if target.tolerance else text


def verdicts(found: Sequence[Verdict]) -> Table:
    """Every target."""
    rows = tuple(
        (
            row.target.title,
            bound(row.target),
            row.target.limit,
            number(row.value, 3),
            row.word,
        )
        for row in found
    )
    return Table(("target", "bound", "limit", "measured", "verdict"), rows)


def _spread(values: Sequence[float], digits: int) -> tuple[str, ...]:
    """How many there are, the median, the least and the most."""
    return (str(len(values)), *(number(find(values), digits) for find in (median, min, max)))


def freezes(figures: Figures) -> Table:
    """Frozen times in milliseconds."""
    rows = []
    for where, title in (
        ("quiet", "hot copy, quiet file system"),
        ("load", "hot copy, under the mixed load"),
        ("alone", "freeze and thaw alone (FIFREEZE, FITHAW), quiet"),
    ):
        times = figures.frozen.get(where, ())
        if times:
            rows.append((title, *_spread([seconds * 1000 for seconds in times], 1)))
    return Table(("frozen time, ms", "times", "median", "least", "most"), tuple(rows))


def commands(figures: Figures) -> Table:
    """Seconds of the whole command, and how many times the start of its interpreter that is."""
    rows = []
    start = figures.command_seconds("python")
    for where, title in (
        ("made", "hcp --skip-mount DEVICE"),
        ("mounted", "hcp DEVICE"),
        ("python", "python3 -IS -c pass: the interpreter alone"),
    ):
        times = figures.command.get(where, ())
        if times:
            rows.append((title, *_spread(times, 2), number(median(times) / start if start else None, 1)))
    return Table(("the whole command, s", "times", "median", "least", "most", "of the interpreter alone"), tuple(rows))


def charted(figures: Figures) -> tuple[SetUp, ...]:
    """The set-ups with snapshots."""
    return tuple(row for row in measured(figures) if row.name not in (BASELINE, LOADED))
