# SPDX-License-Identifier: GPL-2.0-or-later
"""Directories of jinja2 templates, filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import jinja2

from installer import payload
from installer.payload import PayloadFile

if TYPE_CHECKING:
    from importlib.abc import Traversable

_SUFFIX = ".j2"


def fill(text: str, values: Mapping[str, object]) -> str:
    """The template with its values; jinja2.UndefinedError for one that is not given."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text).render(values)


def _directory(place: Traversable, prefix: str, values: Mapping[str, object]) -> Iterator[PayloadFile]:
    for item in sorted(place.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _directory(item, f"{prefix}{item.name}/", values)
        elif item.name.endswith(_SUFFIX):
            name = item.name[: -len(_SUFFIX)]
            text = fill(item.read_text(encoding="utf-8"), values)
            yield PayloadFile(f"{prefix}{name}", text.encode(), 0o755 if name == "rules" else 0o644)


def directory(name: str, values: Mapping[str, object]) -> tuple[PayloadFile, ...]:
    """Every template below ``packaging/NAME``, by its path there without the suffix."""
    place = payload.bundle()
    for part in name.split("/"):
        place = place.joinpath(part)
    return tuple(_directory(place, "", values))


def file(name: str, values: Mapping[str, object]) -> str:
    """One template, ``packaging/NAME``."""
    place = payload.bundle()
    for part in name.split("/"):
        place = place.joinpath(part)
    return fill(place.read_text(encoding="utf-8"), values)
