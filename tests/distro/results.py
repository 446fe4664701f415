"""Cells as files, so that a run that was stopped can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.distro.cells import Cell, Outcome, Stage
from tests.driver.bench.cache import digest
from tests.driver.bench.run import run

# A result holds for these and no others: with any of them changed, all runs anew.
SOURCES = (
    *("hotcopy", "installer", "kmod", "matrix.yaml", "packaging", "docs/man", "pyproject.toml", "Vagrantfile"),
    *("tests/distro/guest", "tests/distro/providers", "tests/distro/repository.py", "tests/distro/stages.py"),
    *("tests/driver", "tests/packages"),
)


def source_key(tree: Path, sources: Sequence[str] = SOURCES) -> str:
    """A hash of everything that results depend on in the tree, as it stands there; of .md files none does."""
    names = run(["git", "ls-files", "-co", "--exclude-standard", *sources], cwd=tree).stdout.splitlines()
    files = sorted(name for name in names if (tree / name).is_file() and not name.endswith(".md"))
    return digest(*(f"{name}\0{(tree / name).read_text(encoding='utf-8', errors='replace')}" for name in files))


def as_dict(cell: Cell) -> dict[str, object]:
    """What JSON takes."""
    return {**asdict(cell), "stage": cell.stage.value, "outcome": cell.outcome.value}


def from_dict(value: Mapping[str, object]) -> Cell:
    """The cell of such a mapping."""
    fields = dict(value)
    stage, outcome = Stage(fields.pop("stage")), Outcome(fields.pop("outcome"))
    return Cell(stage=stage, outcome=outcome, **fields)  # type: ignore[arg-type]


class Kept:
    """A directory with a file for each cell that ran, of one state of the sources."""

    def __init__(self, directory: Path, key: str) -> None:
        self._directory = directory / key

    def keep(self, cell: Cell) -> None:
        """Write it, whole or not at all."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{cell.row.replace('/', ':')}:{cell.stage.value}.json"
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(as_dict(cell)), encoding="utf-8")
        scratch.rename(path)

    def passed(self) -> dict[tuple[str, Stage], Cell]:
        """What need not run again."""
        cells = [from_dict(json.loads(path.read_text(encoding="utf-8"))) for path in self._directory.glob("*.json")]
        return {(cell.row, cell.stage): cell for cell in cells if cell.outcome is Outcome.PASSED}
