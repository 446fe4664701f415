# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the steps of a plan, so that a run that was killed can be run again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from installer import heartbeat, stopping
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.journal import make_directory
from installer.plan import Plan
from installer.session import Session
from installer.steps.step import Step


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Only one installer at a time."""
    make_directory(directory)
    path = directory / "lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InstallError("another hotcopy-install is at work", "wait for it", ExitCode.LOCKED) from error
        yield
    finally:
        os.close(fd)


def run_steps(steps: Sequence[Step], session: Session) -> None:
    """Runs every step. InstallError from the first that fails; what is done so far is in the journal."""
    journal, progress = session.journal, session.progress
    if journal.unfinished:
        progress.line(f"An earlier run was stopped at the step {journal.unfinished!r}; going on.")
    total = len(steps)
    for number, step in enumerate(steps, 1):
        progress.line(f"[{number}/{total}] {step.title} ...")
        stopping.check()
        begin = time.monotonic()
        journal.note("step", key=step.key, state="begun")
        with heartbeat.beating(session):
            step.run(session)
        journal.note("step", key=step.key, state="done")
        progress.line(f"[{number}/{total}] done in {time.monotonic() - begin:.1f} s")


def execute(plan: Plan, session: Session) -> None:
    """Installs."""
    run_steps(plan.steps, session)
    session.journal.note("complete", source=plan.source)
