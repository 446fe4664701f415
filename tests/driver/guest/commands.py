# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that must succeed, and conditions to wait for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from tests.driver.guest.pace import SLOW


@dataclass(frozen=True)
class Ended:
    """How a program ended: its status, minus the signal that killed it, and its two outputs."""

    status: int
    out: str
    err: str


def outcome(
    *argv: str, timeout: float = 100, environment: Mapping[str, str] | None = None, cwd: str | None = None
) -> Ended:
    """How a program ends, whatever that is."""
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=SLOW * timeout, env=environment, cwd=cwd
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def run(*argv: str, timeout: float = 100, stdin: str = "") -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(
        argv,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SLOW * timeout,
    )
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


def fails(*argv: str, timeout: float = 60) -> str:
    """The output of a program that must not succeed."""
    done = outcome(*argv, timeout=timeout)
    assert done.status != 0, f"{argv} succeeded\n{done}"
    return done.out + done.err


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + SLOW * seconds
    pause = 0.001
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    return True
