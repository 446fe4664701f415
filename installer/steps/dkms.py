# SPDX-License-Identifier: GPL-2.0-or-later
"""What DKMS keeps of our driver, also after a build that was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

from installer import stopping
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.session import Session

NAME = "hotcopy"  # in DKMS
_PATIENCE = 600.0  # seconds
_PAUSE = 0.5


def _tree(root: Path) -> Path:
    return root / "var/lib/dkms" / NAME


def _at_work(root: Path) -> Iterator[str]:
    """The processes that build there: what a killed make has started goes on, and makes again what was removed."""
    tree = str(_tree(root))
    for process in (root / "proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if f"{os.readlink(process / 'cwd')}/".startswith(f"{tree}/"):
                yield process.name


def settle(session: Session) -> None:
    """Returns when nobody builds our driver any more. InstallError when somebody does not come to an end."""
    deadline = monotonic() + _PATIENCE
    said = False
    while found := sorted(_at_work(session.root)):
        if not said:
            session.progress.line(
                f"    A build that was stopped has not ended yet (process {', '.join(found)}); waiting."
            )
            said = True
        if monotonic() > deadline:
            raise InstallError(
                f"the driver is being built by somebody else (process {', '.join(found)})",
                "wait for it, then run this again",
                ExitCode.LOCKED,
            )
        stopping.check()
        sleep(_PAUSE)


def forget(session: Session, version: str) -> None:
    """Removes what DKMS built of this version, for every kernel; nothing when there is nothing. InstallError."""
    settle(session)
    tree = _tree(session.root) / version
    if tree.exists() and not (tree / "source").exists():
        # DKMS calls this broken, and asks for a hand: a build was killed, or its source is gone.
        shutil.rmtree(tree)
    if tree.exists():
        session.runner.must("dkms", "remove", "-m", NAME, "-v", version, "--all", timeout=_PATIENCE)
    with contextlib.suppress(OSError):
        _tree(session.root).rmdir()
