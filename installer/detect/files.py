# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading below a root directory, where absolute links lead back below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_MOST_LINKS = 40  # as the kernel


def inside(root: Path, name: str) -> Path:
    """The path of ``name`` below the root, links followed as a process with that root would."""
    todo = [part for part in reversed(name.split("/")) if part not in ("", ".")]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            del done[-1:]
            continue
        path = root.joinpath(*done, part)
        try:
            target = os.readlink(path)
        except OSError:
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            return path
        if target.startswith("/"):
            done.clear()
        todo.extend(step for step in reversed(target.split("/")) if step not in ("", "."))
    return root.joinpath(*done)


def data(root: Path, name: str) -> bytes | None:
    """The file's content; None when it cannot be read."""
    try:
        return inside(root, name).read_bytes()
    except OSError:
        return None


def text(root: Path, name: str) -> str:
    """The file's text, stripped; "" when it cannot be read."""
    return (data(root, name) or b"").decode("utf-8", "replace").strip()


def exists(root: Path, name: str) -> bool:
    """Whether there is such a file or directory."""
    return inside(root, name).exists()


def names(root: Path, directory: str) -> Iterator[str]:
    """The names in a directory, sorted; none when there is no such directory."""
    try:
        yield from sorted(os.listdir(inside(root, directory)))
    except OSError:
        return
