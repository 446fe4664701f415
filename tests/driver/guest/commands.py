# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that must succeed, and conditions to wait for."""

from __future__ import annotations

import subprocess
import time
from typing import Callable


def run(*argv: str, timeout: float = 100, stdin: str = "") -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(
        argv,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


def fails(*argv: str, timeout: float = 60) -> str:
    """The output of a program that must not succeed."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout
    )
    assert done.returncode != 0, f"{argv} succeeded\n{done.stdout}"
    return done.stdout


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
