# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from installer.checks.finding import Finding
from installer.matrix.model import Severity

_MARKS = {Severity.OK: "ok    ", Severity.WARN: "warn  ", Severity.REFUSE: "REFUSE"}


def lines(findings: Sequence[Finding], *, forced: Sequence[str] = (), everything: bool = True) -> Iterator[str]:
    """One line for what is well, up to three for what is not."""
    for finding in findings:
        if finding.severity is Severity.OK and not everything:
            continue
        mark = "forced" if finding.id in forced else _MARKS[finding.severity]
        yield f"{mark}  {finding.id:16}  {finding.cause}"
        if finding.severity is Severity.OK:
            continue
        if finding.remedy:
            yield f"{'':26}-> {finding.remedy}"
        if finding.severity is Severity.REFUSE:
            yield f"{'':26}   see {finding.reference}"


def as_json(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """All of each."""
    return [
        {
            "id": finding.id,
            "severity": finding.severity.value,
            "cause": finding.cause,
            "remedy": finding.remedy,
            "reference": finding.reference,
            "forceable": finding.severity is Severity.REFUSE and finding.forceable,
        }
        for finding in findings
    ]
