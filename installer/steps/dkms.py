# SPDX-License-Identifier: GPL-2.0-or-later
"""What DKMS keeps of our driver, also after a build that was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

from installer import stopping
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.session import Session

NAME = "hotcopy"  # in DKMS
_PATIENCE = 600.0  # seconds
_BUILD_PATIENCE = 1800.0
_PAUSE = 0.5
_BUILDERS = ("dkms", "make")  # without one of them nobody waits for what a compiler or a script makes


def _tree(root: Path) -> Path:
    return root / "var/lib/dkms" / NAME


def _at_work(root: Path) -> Iterator[str]:
    """The processes that build there: what a killed make has started goes on, and makes again what was removed."""
    tree = str(_tree(root))
    for process in (root / "proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if f"{os.readlink(process / 'cwd')}/".startswith(f"{tree}/"):
                yield process.name


def _line(root: Path, process: str) -> Iterator[str]:
    """The names of a process and of its ancestors, as far as they can be seen."""
    while process not in ("0", "1"):
        try:
            head, _, tail = (root / "proc" / process / "stat").read_text(encoding="utf-8").rpartition(")")
        except OSError:
            return
        yield head.partition("(")[2]
        process = tail.split()[1]


def _is_orphan(root: Path, process: str) -> bool:
    """Whether it goes on for nobody: what had called for it was killed."""
    names = tuple(_line(root, process))
    return bool(names) and not any(name in _BUILDERS for name in names)


def settle(session: Session) -> None:
    """Returns when nobody builds our driver any more. InstallError when somebody does not come to an end."""
    deadline = monotonic() + _BUILD_PATIENCE
    said = False
    while found := sorted(_at_work(session.root)):
        orphans = [process for process in found if _is_orphan(session.root, process)]
        for process in orphans:
            session.progress.line(f"    Ending what a build that was stopped has left running (process {process}).")
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        if not said and not orphans:
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
    if (tree / "source").exists():
        session.runner.must("dkms", "remove", "-m", NAME, "-v", version, "--all", timeout=_PATIENCE)
    if tree.exists() and not (tree / "source").exists():
        # DKMS calls this broken, and asks for a hand: a build was killed, or its source is gone.
        shutil.rmtree(tree)
    with contextlib.suppress(OSError):
        _tree(session.root).rmdir()
