# SPDX-License-Identifier: GPL-2.0-or-later
"""Files on the disk: never half of one, and always in the journal first."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from installer.journal import Journal
from installer.payload import PayloadFile


def is_in_place(root: Path, file: PayloadFile) -> bool:
    """Whether it is there as it is to be."""
    path = root / file.path
    try:
        return path.read_bytes() == file.data and path.stat().st_mode & 0o777 == file.mode
    except OSError:
        return False


def make_parents(root: Path, path: str, journal: Journal) -> None:
    """The directories that are missing."""
    missing = []
    directory = Path(path).parent
    while str(directory) != "." and not (root / directory).is_dir():
        missing.append(directory)
        directory = directory.parent
    for directory in reversed(missing):
        journal.note("directory", path=str(directory))
        (root / directory).mkdir(mode=0o755, exist_ok=True)
        (root / directory).chmod(0o755)  # whatever the umask


def put(root: Path, file: PayloadFile, journal: Journal) -> None:
    """Writes the file."""
    make_parents(root, file.path, journal)
    journal.note("file", path=file.path, sha256=hashlib.sha256(file.data).hexdigest())
    path = root / file.path
    new = path.with_name(f".{path.name}.hotcopy-install")
    with new.open("wb") as stream:
        stream.write(file.data)
        stream.flush()
        os.fsync(stream.fileno())
    new.chmod(file.mode)
    new.replace(path)


def remove(root: Path, path: str) -> None:
    """Deletes a file, and what a kill may have left of it; gone already is as good."""
    target = root / path
    target.with_name(f".{target.name}.hotcopy-install").unlink(missing_ok=True)
    target.unlink(missing_ok=True)
