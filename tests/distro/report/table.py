"""What the pages show of the cells: a line for each row, and the reasons that several cells share, numbered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.distro.cells import BAD, Cell, Outcome, Row, Stage


@dataclass(frozen=True)
class Shown:
    """A cell, with the number of its reason (0: it passed)."""

    cell: Cell
    note: int

    @property
    def word(self) -> str:
        """The outcome, and how long it took."""
        if self.cell.outcome is Outcome.NOT_RUN:
            return "-"
        seconds = self.cell.seconds
        took = f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"
        return f"{'ok' if self.cell.outcome is Outcome.PASSED else self.cell.outcome.value.upper()}, {took}"


@dataclass
class Table:
    """The lines, and the reasons in the order of their numbers, from 1 on."""

    lines: list[tuple[Row, list[Shown]]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def table(rows: Sequence[Row], cells: Sequence[Cell]) -> Table:
    """The cells by rows and stages; one that is missing is an error."""
    made, by_place = Table(), {(cell.row, cell.stage): cell for cell in cells}
    for row in rows:
        line = []
        for stage in Stage:
            cell = by_place[row.name, stage]
            note = 0
            if cell.reason:
                if cell.reason not in made.reasons:
                    made.reasons.append(cell.reason)
                note = made.reasons.index(cell.reason) + 1
            line.append(Shown(cell, note))
        made.lines.append((row, line))
    return made


def summary(cells: Sequence[Cell]) -> str:
    """One line of figures."""
    counts = {outcome: sum(cell.outcome is outcome for cell in cells) for outcome in Outcome}
    words = [f"{count} {outcome.value}" for outcome, count in counts.items() if count or outcome is Outcome.PASSED]
    return f"{len(cells)} cells: {', '.join(words)}"


def status(cells: Sequence[Cell]) -> int:
    """The exit status: 1 where a stage failed that is not known to, passed that should not, or where nothing ran."""
    ran = any(cell.outcome is not Outcome.NOT_RUN for cell in cells)
    return 0 if ran and not any(cell.outcome in BAD for cell in cells) else 1
