# SPDX-License-Identifier: GPL-2.0-or-later
"""Asking before anything is changed."""

from __future__ import annotations

import os
import sys

from installer.errors import InstallError
from installer.exitcodes import ExitCode


def need_root() -> None:
    """InstallError unless the effective user is root."""
    if os.geteuid() != 0:
        raise InstallError("hotcopy-install needs root to change the system", "run it with sudo", ExitCode.NOT_ROOT)


def ask(question: str, *, yes: bool, silent: bool = False) -> None:
    """Returns when the answer is yes; InstallError otherwise. ``silent``: standard output is not for questions."""
    if yes:
        return
    if silent or not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise InstallError(
            "there is nobody to ask" if silent else "there is no terminal to ask at",
            "give --yes (hotcopy-install --dry-run shows what it does)",
            ExitCode.UNCONFIRMED,
        )
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise InstallError("not confirmed; nothing was changed", "", ExitCode.UNCONFIRMED)
