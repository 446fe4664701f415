# SPDX-License-Identifier: GPL-2.0-or-later
"""What DKMS keeps of our driver, also after a build that was killed."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from time import monotonic, sleep

from installer import stopping
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.session import Session
from installer.steps import builders

NAME = "hotcopy"  # in DKMS
_PATIENCE = 600.0  # seconds
_BUILD_PATIENCE = 1800.0
_PAUSE = 0.5


def _tree(root: Path) -> Path:
    return root / "var/lib/dkms" / NAME


def settle(session: Session) -> None:
    """Returns when nobody builds our driver any more. InstallError when somebody does not come to an end."""
    deadline = monotonic() + _BUILD_PATIENCE
    said = False
    while True:
        found = builders.find(session.root, _tree(session.root))
        expected = ", ".join(map(str, found.expected))
        if found.orphans:
            orphans = ", ".join(map(str, found.orphans))
            session.progress.line(f"    Ending what a build that was stopped has left running (process {orphans}).")
            builders.end(found.orphans)
        elif not expected:
            return
        elif not said:
            session.progress.line(f"    A build that was stopped has not ended yet (process {expected}); waiting.")
            said = True
        if monotonic() > deadline:
            raise InstallError(
                f"the driver is being built by somebody else (process {expected or orphans})",
                "wait for it, then run this again",
                ExitCode.LOCKED,
            )
        stopping.check()
        sleep(_PAUSE)


def forget(session: Session, version: str) -> None:
    """Removes what DKMS built of this version, for every kernel; nothing when there is nothing. InstallError."""
    settle(session)
    tree = _tree(session.root) / version
    if (tree / "source").exists():
        session.runner.must("dkms", "remove", "-m", NAME, "-v", version, "--all", timeout=_PATIENCE)
    if tree.exists() and not (tree / "source").exists():
        # DKMS calls this broken, and asks for a hand: a build was killed, or its source is gone.
        shutil.rmtree(tree)
    with contextlib.suppress(OSError):
        _tree(session.root).rmdir()
