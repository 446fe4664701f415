"""Cells as files, so that a run that was stopped can go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from tests.distro.cells import DRIVER, Cell, Outcome, Stage
from tests.driver.bench.cache import Cache
from tests.driver.bench.kernels import by_name, locate
from tests.driver.bench.tracked import tree_key

TREE = Path(__file__).resolve().parents[2]
OUTPUT = TREE / "dist/matrix"

# A result holds for these and no others: with any of them changed, the stage runs anew.
SOURCES = ("hotcopy", "installer", "kmod", "matrix.yaml", "packaging", "tests/distro/stages.py", "tests/driver")
OF_PACKAGES = (
    *("docs/man", "pyproject.toml", "Vagrantfile", "tests/packages", "tests/distro/chain.py", "tests/distro/guest"),
    *("tests/distro/providers", "tests/distro/repository.py", "tests/distro/verify.py"),
)


def sources(stage: Stage) -> tuple[str, ...]:
    """What a stage's result depends on in the tree."""
    return SOURCES if stage in DRIVER else (*SOURCES, *OF_PACKAGES)


def with_package(cache: Cache, cell: Cell, guest: str) -> Cell:
    """The cell, with the kernel package of the bench's kernel of this name, if it ran with one: what is rendered does not."""
    if cell.package or cell.outcome is Outcome.NOT_RUN or cell.stage is Stage.RENDER or not guest:
        return cell
    found = locate(cache, by_name(guest))
    return replace(cell, package=f"{found.package} {found.version}")


def as_dict(cell: Cell) -> dict[str, object]:
    """What JSON takes."""
    return {**asdict(cell), "stage": cell.stage.value, "outcome": cell.outcome.value}


def from_dict(value: Mapping[str, object]) -> Cell:
    """The cell of such a mapping."""
    fields = dict(value)
    stage, outcome = Stage(fields.pop("stage")), Outcome(fields.pop("outcome"))
    return Cell(stage=stage, outcome=outcome, **fields)  # type: ignore[arg-type]


class Kept:
    """A directory with a file for each cell that ran, below one of a state of its stage's sources."""

    @classmethod
    def of_now(cls, output: Path) -> Kept:
        """For the sources as they are now: what is changed while stages run is not what ran."""
        return cls(output / "cells", {stage: tree_key(TREE, sources(stage)) for stage in Stage}.__getitem__)

    def __init__(self, directory: Path, key: Callable[[Stage], str]) -> None:
        self._directory = directory
        self._key = key

    def keep(self, cell: Cell) -> None:
        """Write it, whole or not at all."""
        directory = self._directory / self._key(cell.stage)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{cell.row.replace('/', ':')}:{cell.stage.value}.json"
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(as_dict(cell)), encoding="utf-8")
        scratch.rename(path)

    def ran(self) -> dict[tuple[str, Stage], Cell]:
        """What has run, passed or failed."""
        found = {}
        for stage in Stage:
            for path in (self._directory / self._key(stage)).glob(f"*:{stage.value}.json"):
                cell = from_dict(json.loads(path.read_text(encoding="utf-8")))
                found[cell.row, stage] = cell
        return found
