# SPDX-License-Identifier: GPL-2.0-or-later
"""What was done to the machine, written down before it is done: for going on after a kill, and for an exact uninstall."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from installer.errors import InstallError
from installer.exitcodes import ExitCode

STATE = "var/lib/hotcopy-install"
_NAME = "journal.jsonl"

Value = Union[str, int, list[str]]
Entry = dict[str, Value]


def _read(path: Path) -> Iterator[Entry]:
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise InstallError(
            f"what was installed here is for root to read ({path})", "run it with sudo", ExitCode.NOT_ROOT
        ) from error
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the line that a kill or a full disk cut off: what it was to announce was not done
        if isinstance(entry, dict):
            yield entry


class Journal:
    """The entries on disk and here; nothing is on disk before the first note()."""

    def __init__(self, root: Path) -> None:
        self.directory = root / STATE
        self.path = self.directory / _NAME
        self.entries: list[Entry] = list(_read(self.path))

    def note(self, kind: str, **fields: Value) -> None:
        """Adds an entry, and returns when it is on the disk. The same entry twice is one."""
        entry: Entry = {"kind": kind, **fields}
        if entry in self.entries and kind != "step":
            return
        make_directory(self.directory)
        data = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        with self.path.open("ab") as file:
            if file.tell() and not self._ends_well():
                file.write(b"\n")
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.entries.append(entry)

    def _ends_well(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def texts(self, kind: str, field: str) -> tuple[str, ...]:
        """Return one field of all entries of a kind, in order, each once."""
        found = (str(entry[field]) for entry in self.entries if entry.get("kind") == kind and field in entry)
        return tuple(dict.fromkeys(found))

    def listed(self, kind: str, field: str) -> tuple[str, ...]:
        """Return the items of one list in all entries of a kind, each once."""
        found: dict[str, None] = {}
        for entry in self.entries:
            value = entry.get(field)
            if entry.get("kind") == kind and isinstance(value, list):
                found.update(dict.fromkeys(value))
        return tuple(found)

    @property
    def unfinished(self) -> str:
        """The step that was begun and not ended; "" when there is none."""
        steps = [entry for entry in self.entries if entry.get("kind") == "step"]
        return str(steps[-1]["key"]) if steps and steps[-1].get("state") != "done" else ""

    @property
    def is_complete(self) -> bool:
        """Whether the last run got to its end."""
        return bool(self.entries) and self.entries[-1].get("kind") == "complete"

    def forget(self) -> None:
        """Deletes the journal: there is nothing left to undo."""
        self.path.unlink(missing_ok=True)
        self.entries.clear()
        with contextlib.suppress(OSError):  # somebody put something else there
            self.directory.rmdir()


def make_directory(path: Path) -> None:
    """Makes it, for root only."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
