"""The list of failures that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from tests.distro.cells import Cell, Outcome, Stage

LIST = Path(__file__).with_name("known_failures.yaml")
_KEYS = {"row", "stage", "reason"}


@dataclass(frozen=True)
class KnownFailure:
    """A stage of rows that fails."""

    row: str  # a glob
    stage: Stage
    reason: str


def load(path: Path = LIST) -> tuple[KnownFailure, ...]:
    """The list; ValueError names what is wrong in it."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, list):
        raise ValueError(f"{path.name}: a list is expected")
    failures = []
    for number, item in enumerate(content, 1):
        if not isinstance(item, dict) or set(item) != _KEYS or not all(isinstance(text, str) for text in item.values()):
            raise ValueError(f"{path.name}: entry {number}: the keys are {', '.join(sorted(_KEYS))}, each a text")
        failures.append(KnownFailure(item["row"], Stage(item["stage"]), item["reason"]))
    return tuple(failures)


def judged(cell: Cell, failures: tuple[KnownFailure, ...]) -> Cell:
    """The cell as the list sees it."""
    for failure in failures:
        if failure.stage is cell.stage and fnmatchcase(cell.row, failure.row):
            if cell.outcome is Outcome.FAILED:
                return replace(cell, outcome=Outcome.KNOWN, reason=failure.reason)
            if cell.outcome is Outcome.PASSED:
                reason = (
                    f"it passed, and known_failures.yaml says that it fails ({failure.reason}): take it off the list"
                )
                return replace(cell, outcome=Outcome.UNEXPECTED, reason=reason)
    return cell
