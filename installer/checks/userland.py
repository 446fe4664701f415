# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that hcp needs."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, warn
from installer.context import Context


def python(context: Context) -> Iterator[Finding]:
    """A Python that runs hcp."""
    wanted, found = context.matrix.requirements.python, context.system.tools.python
    if found:
        yield ok("HC-PYTHON", f"{found} runs hcp")
        return
    packages = " ".join(context.packager.python()) if context.packager else "it"
    yield warn("HC-PYTHON", f"there is no Python {wanted} or later in /usr/bin", f"the installer installs {packages}")


def commands(context: Context) -> Iterator[Finding]:
    """The rest."""
    programs = context.system.tools.programs
    missing = [row for row in context.matrix.requirements.commands if row.command not in programs]
    if not missing:
        yield ok("HC-COMMANDS", "every program that hcp calls is here")
        return
    listed = ", ".join(f"{row.command} ({row.purpose})" for row in missing)
    yield warn("HC-COMMANDS", f"missing: {listed}", "the installer installs them")
