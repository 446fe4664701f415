# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether Hot Copy is installed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from installer.checks import registry
from installer.checks.finding import Finding, exit_code
from installer.context import Context
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.matrix.model import Severity

_ORDER = (Severity.OK, Severity.WARN, Severity.REFUSE)


@dataclass(frozen=True)
class Verdict:
    """All findings, and the ids of the refusals that the user overrides."""

    findings: tuple[Finding, ...]
    forced: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """The worst of them; a forced refusal is a warning."""
        return max((self._weight(finding) for finding in self.findings), key=_ORDER.index, default=Severity.OK)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """What stands in the way."""
        return tuple(finding for finding in self.findings if self._weight(finding) is Severity.REFUSE)

    @property
    def code(self) -> ExitCode:
        """The exit status that follows."""
        return exit_code(self.refusals)

    def _weight(self, finding: Finding) -> Severity:
        is_forced = finding.severity is Severity.REFUSE and finding.id in self.forced
        return Severity.WARN if is_forced else finding.severity


def judge(context: Context, forced: Sequence[str] = ()) -> Verdict:
    """Runs the checks. InstallError for a --force that cannot be."""
    findings = registry.run(registry.BEFORE, context)
    refused = {finding.id: finding for finding in findings if finding.severity is Severity.REFUSE}
    for name in forced:
        finding = refused.get(name)
        if finding is None:
            known = ", ".join(refused) or "none"
            raise InstallError(f"--force {name}: that is no refusal here", f"refusals: {known}", ExitCode.USAGE)
        if not finding.forceable:
            raise InstallError(
                f"--force {name}: this one cannot be overridden: {finding.cause}", finding.remedy, ExitCode.REFUSED
            )
    return Verdict(findings, tuple(forced))
