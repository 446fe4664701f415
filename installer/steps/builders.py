# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes that build our driver in DKMS's tree: those somebody waits for, and those a kill has left running.

What a kernel's build runs stands in the headers' directory (kbuild goes there up to Linux 6.12) and names the tree in its
words only; a make that a killed script has started goes on, and makes again what was removed (both seen on Debian 13).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

_BUILDERS = ("dkms", "make")  # without one of them nobody waits for what a compiler or a script makes


@dataclass(frozen=True)
class Process:
    """As /proc has it: its parent, its name, what it was called with, where it stands, and whether make has started it."""

    pid: int
    parent: int
    name: str
    words: tuple[str, ...]
    place: str
    under_make: bool


def _read(directory: Path) -> Process | None:
    """None when it has ended."""
    try:
        head, _, tail = (directory / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
        words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        place = os.readlink(directory / "cwd")
        variables = (directory / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    under_make = any(variable.startswith(b"MAKELEVEL=") for variable in variables)
    return Process(int(directory.name), int(tail.split()[1]), head.partition("(")[2], tuple(words), place, under_make)


def _everybody(root: Path) -> dict[int, Process]:
    found = (_read(path) for path in (root / "proc").glob("[0-9]*"))
    return {process.pid: process for process in found if process is not None}


def _line(process: Process, everybody: Mapping[int, Process]) -> tuple[Process, ...]:
    """The process and its ancestors."""
    found = [process]
    while (parent := everybody.get(found[-1].parent)) is not None and parent.pid > 1 and parent not in found:
        found.append(parent)
    return tuple(found)


@dataclass(frozen=True)
class Builders:
    """Of those that build in the tree: ``expected`` somebody waits for, ``orphans`` go on for nobody."""

    expected: tuple[int, ...]
    orphans: tuple[int, ...]


def _concerns(process: Process, tree: str, name: str) -> bool:
    if f"{process.place}/".startswith(f"{tree}/") or any(f"{tree}/" in word for word in process.words):
        return True
    return process.name == "dkms" and name in process.words


def find(root: Path, tree: Path) -> Builders:
    """Who builds in this tree, which has the name that DKMS knows it by. Shells and pagers that look at it are nobody."""
    everybody = _everybody(root)
    ours = everybody.get(os.getpid())
    spared = {process.pid for process in (_line(ours, everybody) if ours else ())}
    expected, orphans = set(), set()
    for process in everybody.values():
        if process.pid in spared or not _concerns(process, str(tree), tree.name):
            continue
        if any(each.name in _BUILDERS for each in _line(process, everybody)):
            expected.add(process.pid)
        elif process.under_make:
            orphans.add(process.pid)
    # What an orphan has started is for nobody, either, a make included.
    for process in everybody.values():
        if any(each.pid in orphans for each in _line(process, everybody)):
            orphans.add(process.pid)
    return Builders(tuple(sorted(expected - orphans)), tuple(sorted(orphans)))


def end(orphans: Collection[int]) -> None:
    """Kills them. First all are stopped, so that none starts another meanwhile."""
    for kind in (signal.SIGSTOP, signal.SIGKILL):
        for process in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, kind)
