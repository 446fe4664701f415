# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a failing program small: candidates are played in batches, several times each, since a race shows only sometimes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.proof.programs import Program

# Names and programs that have failed at least once, of those given.
Fails = Callable[[Sequence[tuple[str, Program]]], set[str]]


def _without(program: Program, first: int, count: int) -> Program:
    return {**program, "steps": program["steps"][:first] + program["steps"][first + count :]}


def shorter(program: Program, count: int) -> Iterator[Program]:
    """The program without so many steps in a row, wherever they are."""
    for first in range(0, len(program["steps"]), count):
        yield _without(program, first, count)


def simpler(program: Program) -> Iterator[Program]:
    """The program with one thing made plain."""
    for key, plain in (("scene", "even"), ("engine", "threads"), ("engine", "aio")):
        if program[key] != plain:
            yield {**program, key: plain}
    roomy = {"units": 8000, "pieces": 1, "near": 0, "growth": 0}
    if program["store"] != roomy:
        yield {**program, "store": roomy}
    for number, step in enumerate(program["steps"]):
        changes: list[dict[str, Any]] = [
            {"wait": True},
            {"flags": ""},
            {"way": 0},
            {"n": 8},
            {"n": max(1, step["n"] // 2)},
            {"at": step["at"] // 8 * 8},
        ]
        for change in changes:
            if all(key in step and step[key] != value for key, value in change.items()):
                steps = copy.deepcopy(program["steps"])
                steps[number].update(change)
                yield {**program, "steps": steps}


def shrink(program: Program, fails: Fails, rounds: int = 40) -> Program:
    """The smallest program found that still fails."""
    count = max(1, len(program["steps"]) // 2)
    for _ in range(rounds):
        candidates = {f"c{number}": candidate for number, candidate in enumerate(shorter(program, count))}
        failed = fails(list(candidates.items()))
        if failed:
            program = candidates[min(failed, key=lambda name: int(name[1:]))]
            count = max(1, min(count, len(program["steps"]) // 2))
        elif count > 1:
            count //= 2
        else:
            break
    for _ in range(rounds):
        candidates = {f"c{number}": candidate for number, candidate in enumerate(simpler(program))}
        failed = fails(list(candidates.items()))
        if not failed:
            break
        program = candidates[min(failed, key=lambda name: int(name[1:]))]
    return program
