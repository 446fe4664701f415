# SPDX-License-Identifier: GPL-2.0-or-later
"""Where packages are built: a directory of its own, programs, and files written into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hotcopy.output import Output
from installer.errors import InstallError
from installer.payload import PayloadFile

_PATIENCE = 1800.0  # seconds


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A directory that vanishes. Always as deep as this one: a path's length gets into no package."""
    with tempfile.TemporaryDirectory(prefix=f"hotcopy-{name}-") as path:
        yield Path(path)


def need(programs: Mapping[str, str]) -> None:
    """InstallError when one of these programs (to the packages that have them on Debian) is missing."""
    missing = {program: package for program, package in programs.items() if shutil.which(program) is None}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise InstallError(f"missing: {', '.join(missing)}", f"on Debian: apt-get install {packages}")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> str:
    """What the program said on standard output. InstallError with its last words."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except FileNotFoundError as error:
        raise InstallError(f"the program {argv[0]} is missing", "install it, and run this again") from error
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{argv[0]} did not finish in {_PATIENCE:.0f} seconds", "run this again") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-12:]
        raise InstallError(f"{argv[0]} failed (exit status {done.returncode}): {' | '.join(said)}")
    return done.stdout.decode("utf-8", "replace")


def write(directory: Path, files: Iterable[PayloadFile]) -> None:
    """Writes them below the directory."""
    for file in files:
        path = directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)


def deliver(files: Iterable[Path], target: Path, out: Output) -> tuple[Path, ...]:
    """Puts finished packages where they are wanted, each complete or not at all; says so."""
    target.mkdir(parents=True, exist_ok=True)
    delivered = []
    for file in sorted(files):
        new = target / f".{file.name}.new"
        shutil.copyfile(file, new)
        new.replace(target / file.name)
        delivered.append(target / file.name)
        out.line(str(target / file.name))
    return tuple(delivered)
