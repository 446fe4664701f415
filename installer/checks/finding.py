# SPDX-License-Identifier: GPL-2.0-or-later
"""What a check found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable

from installer.context import Context
from installer.exitcodes import ExitCode
from installer.matrix.model import Severity

DOCS = "docs/installing.md"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``id`` never changes its meaning."""

    id: str
    severity: Severity
    cause: str  # what is the case
    remedy: str = ""
    reference: str = DOCS
    forceable: bool = True  # whether --force ID overrides a refusal
    code: ExitCode = ExitCode.REFUSED  # of a refusal, when it is the only one


Check = Callable[[Context], Iterator[Finding]]


def ok(key: str, cause: str) -> Finding:
    """All is well."""
    return Finding(key, Severity.OK, cause)


def warn(key: str, cause: str, remedy: str, reference: str = DOCS) -> Finding:
    """It works, but somebody should know."""
    return Finding(key, Severity.WARN, cause, remedy, reference)


def refuse(
    key: str,
    cause: str,
    remedy: str,
    reference: str = DOCS,
    *,
    forceable: bool = True,
    code: ExitCode = ExitCode.REFUSED,
) -> Finding:
    """It would not work, or do harm."""
    return Finding(key, Severity.REFUSE, cause, remedy, reference, forceable, code)


def exit_code(refusals: Sequence[Finding]) -> ExitCode:
    """What these refusals come to, warnings left out before."""
    codes = {found.code for found in refusals}
    if not codes:
        return ExitCode.DONE
    return codes.pop() if len(codes) == 1 else ExitCode.REFUSED
