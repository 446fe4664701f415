# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs as hypothesis writes them: JSON data, which tests/proof/guest/player.py plays.

A program is {"scene", "engine", "seed", "store", "steps"}. ``scene`` names devices (guest/stage.py), ``engine`` how I/O is
begun (guest/engines.py), ``store`` is a Plan (guest/stores.py). A step is {"do", "at", "n", "wait", ...}: sectors of 512
bytes from ``at`` on (modulo the origin's size), and whether everything begun before has to end before the next step.
Steps that make no sense when their turn comes (read a hot copy where there is none) do nothing, so that any part of a
program is a program: that is what shrinking needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

STEPS = 50
FRESH = 9  # programs of one run of hypothesis
REGION = 4096  # sectors that one region of the driver's maps spans
SECTORS = 5120  # of an origin, about: see guest/stage.py

Program = dict[str, Any]

# Few places, so that steps meet; the seams of regions, units and devices, the end that is no whole unit.
_PLACES = st.one_of(
    st.sampled_from(
        [0, 1, 7, 8, 64, 2993, 3001, REGION - 9, REGION - 8, REGION, REGION + 3, SECTORS - 16, SECTORS, SECTORS + 4]
    ),
    st.integers(0, 63).map(lambda number: number * 128),
    st.integers(0, SECTORS - 1),
)
# Sectors: parts of a unit, units, what is read around writes, what bios are split for.
_LENGTHS = st.one_of(
    st.integers(1, 24),
    st.sampled_from([8, 16, 32, 64, 256, 512, 1024]),
    st.integers(1, 300),
    st.integers(1, 2048),
)
_WEIGHTS = {
    "write": 14, "read": 7, "write-copy": 5, "read-origin": 2, "create": 4, "remove": 2, "zero": 2, "discard": 3,
    "trim": 1, "zero-copy": 1, "flush": 2, "free": 1, "changed": 1, "check": 1,
}  # fmt: skip
_KINDS = [kind for kind, weight in _WEIGHTS.items() for _ in range(weight)]
_FLAGS = ["", "", "", "", "dsync", "nowait", "nowait dsync"]


@st.composite
def _steps(draw: Callable[[Any], Any]) -> Program:
    """One step; numbers that several kinds have mean the same in all of them, so that shrinking may change the kind."""
    kind = draw(st.sampled_from(_KINDS))
    step = {"do": kind, "at": draw(_PLACES), "n": draw(_LENGTHS), "wait": draw(st.integers(0, 4)) == 0}
    if kind in ("write", "write-copy"):
        step["flags"] = draw(st.sampled_from(_FLAGS))
    if kind in ("write", "read-origin", "zero", "discard", "trim", "flush"):
        step["way"] = draw(st.integers(0, 1))
    if kind in ("read", "write-copy", "zero-copy", "remove", "create", "free", "changed"):
        step["copy"] = draw(st.integers(0, 3))
    if kind == "create":
        step["of"] = draw(st.integers(0, 2))
    return step


_STORES = st.one_of(
    # Never full, in one piece or many; small, so that it fills; growing, by enough or not.
    st.builds(lambda pieces, near: {"units": 8000, "pieces": pieces, "near": near, "growth": 0}, st.integers(1, 40), st.integers(0, 1)),
    st.builds(lambda units, pieces: {"units": units, "pieces": pieces, "near": 0, "growth": 0}, st.integers(8, 1000), st.integers(1, 20)),
    st.builds(lambda units, growth: {"units": units, "pieces": 2, "near": 0, "growth": growth}, st.integers(64, 1024), st.sampled_from([2, 24])),
)  # fmt: skip


@st.composite
def _programs(draw: Callable[[Any], Any]) -> Program:
    """A whole program, which begins with a hot copy."""
    first = {"do": "create", "at": 0, "n": 1, "wait": True, "copy": 0, "of": draw(st.integers(0, 2))}
    return {
        "scene": draw(st.sampled_from(["even", "odd", "mapped", "stacked", "files"])),
        "engine": draw(st.sampled_from(["aio", "uring", "threads"])),
        "seed": draw(st.integers(0, 1 << 30)),
        "store": draw(_STORES),
        "steps": [first, *draw(st.lists(_steps(), min_size=STEPS - 1, max_size=STEPS - 1))],
    }


def write_programs(count: int, number: int) -> list[Program]:
    """So many different ones, the same for the same number (and the same hypothesis).

    In a process of its own: hypothesis picks constants out of every module that is loaded, whoever wrote it.
    """
    argv = [sys.executable, "-m", "tests.proof.programs", str(count), str(number)]
    done = subprocess.run(
        argv, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, check=True, timeout=600
    )
    programs: list[Program] = json.loads(done.stdout)
    return programs


def _write(count: int, number: int) -> list[Program]:
    found: list[Program] = []
    part = 0
    while len(found) < count:
        part += 1

        # A short run for each few: in a longer one hypothesis writes many that hardly differ.
        @seed(number * 100_000 + part)
        @settings(
            max_examples=FRESH + 1,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(_programs())
        def collect(program: Program) -> None:
            if program["seed"]:  # the first one is the simplest there is
                found.append(program)

        collect()
    return found[:count]


if __name__ == "__main__":
    json.dump(_write(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
