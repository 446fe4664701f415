"""Takes rows through their stages, several rows at once, and keeps each cell as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.distro.cells import Cell, Outcome, Row, Stage
from tests.distro.known import KnownFailure, judged
from tests.distro.rig import StageError
from tests.driver.bench.debian import NoPackageError
from tests.driver.bench.guest import GuestError
from tests.driver.bench.run import CommandError

LEFT_OUT = "not asked for in this run"
LONG = 160  # characters of a reason


@dataclass(frozen=True)
class Plan:
    """What is to run, and by what."""

    rows: Sequence[Row]
    wanted: Collection[str]  # names of rows; of the others no stage runs
    stages: Collection[Stage]
    steps: Mapping[Stage, Callable[[Row], str]]
    pending: Mapping[Stage, str]  # stages without a step, and why
    needs: Mapping[Stage, tuple[Stage, ...]]
    known: tuple[KnownFailure, ...] = ()
    finish: Callable[[Row], None] = lambda _row: None  # what stages of a row have left running, ends


def run(plan: Plan, jobs: int, had: Mapping[tuple[str, Stage], Cell], keep: Callable[[Cell], None]) -> list[Cell]:
    """Every cell of every row, in order; each new one that ran goes to ``keep`` at once.

    Of ``had``, cells of earlier runs, those that passed do not run again, and those that failed are shown where this run was not
    asked for them.
    """
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda row: _row(plan, row, had, keep), plan.rows))
    return [cell for cells in results for cell in cells]


def _row(plan: Plan, row: Row, had: Mapping[tuple[str, Stage], Cell], keep: Callable[[Cell], None]) -> list[Cell]:
    cells: dict[Stage, Cell] = {}
    for stage in Stage:
        reason = _obstacle(plan, row, stage, cells)
        earlier = had.get((row.name, stage))
        if earlier and _stands(earlier, reason) and not row.obstacle(stage) and stage in plan.steps:
            cells[stage] = judged(earlier, plan.known)
        elif reason:
            cells[stage] = Cell(row.name, stage, Outcome.NOT_RUN, reason=reason)
        else:
            done = _step(row, stage, plan.steps[stage])
            keep(done)
            cells[stage] = judged(done, plan.known)
    plan.finish(row)
    return list(cells.values())


def _stands(earlier: Cell, reason: str) -> bool:
    """Whether an earlier cell still is what there is to say; ``reason`` is why the stage does not run, if it does not."""
    return earlier.outcome is Outcome.PASSED or reason == LEFT_OUT


def _obstacle(plan: Plan, row: Row, stage: Stage, cells: Mapping[Stage, Cell]) -> str:
    """Why a stage of a row does not run; empty if it does."""
    obstacle = row.obstacle(stage)
    if obstacle:
        return obstacle
    if stage not in plan.steps:
        return plan.pending[stage]
    if row.name not in plan.wanted or stage not in plan.stages:
        return LEFT_OUT
    for need in plan.needs.get(stage, ()):
        cell = cells[need]
        if cell.outcome in (Outcome.FAILED, Outcome.KNOWN):
            return f"{need.value} failed"
        if cell.outcome is Outcome.NOT_RUN and cell.reason != LEFT_OUT:
            return f"{need.value} did not run: {cell.reason}"
    return ""


def _short(line: str) -> str:
    """Of a long command its beginning, and how it ended; the log has all of it."""
    return line if len(line) <= LONG else f"{line[: LONG // 2]} ... {line.rpartition(': ')[2][-LONG // 2 :]}"


def _step(row: Row, stage: Stage, step: Callable[[Row], str]) -> Cell:
    begin = time.monotonic()

    def ended(outcome: Outcome, reason: str = "", log: str = "") -> Cell:
        return Cell(row.name, stage, outcome, round(time.monotonic() - begin, 1), reason, log)

    try:
        return ended(Outcome.PASSED, log=step(row))
    except NoPackageError as error:
        return ended(Outcome.NOT_RUN, f"no packages reachable here: {error.args[0]}")
    except (StageError, CommandError, GuestError, OSError) as error:
        text = str(error) or type(error).__name__
        return ended(Outcome.FAILED, _short(text.splitlines()[0]), text)
    except Exception as error:  # a fault of a stage's own must not take the other rows along
        return ended(Outcome.FAILED, f"{type(error).__name__}: {error}".splitlines()[0])
