# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix for people and for programs: what ``hotcopy-install support-matrix`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from textwrap import fill

from installer.matrix.model import Affected, Distro, Event, KernelSeries, Matrix

Table = Sequence[Sequence[str]]  # the first row is the head

_HEAD_DISTROS = ("Release", "Status", "Verified", "Updates end", "Kernels", "Why, and what to do")
_HEAD_KERNELS = ("Kernel", "Status", "Verified", "Found in", "Why")


def distro_table(distros: Sequence[Distro]) -> Table:
    """A line for each release."""
    return (_HEAD_DISTROS, *(_distro(row) for row in distros))


def _distro(row: Distro) -> tuple[str, ...]:
    ends = row.end_of_life.isoformat() if row.end_of_life else "-"
    if row.extended_end:
        ends += f" (long-term {row.extended_end.isoformat()})"
    kernels = ", ".join(row.kernels) or "current"
    why = f"{row.verified.reason}. {row.advice}" if row.advice else row.verified.reason
    return row.title, row.tier.value, row.verified.level.value, ends, kernels, why


def kernel_table(series: Sequence[KernelSeries]) -> Table:
    """A line for each series of kernels."""
    lines = [
        (row.series, row.tier.value, row.verified.level.value, row.found_in, row.verified.reason) for row in series
    ]
    return (_HEAD_KERNELS, *lines)


def fault_table(matrix: Matrix) -> Table:
    """A line for each known fault of kernels."""
    head = ("Key", "What is done", "Matters with", "Fault", "Kernels", "Remedy")
    lines = [
        (
            row.key,
            row.severity.value + ("" if row.forceable else ", always"),
            row.applies_when.value.replace("-mounted", ""),
            row.title,
            "; ".join(f"{_whose(one)} {_range(one.events)}" for one in row.affected),
            row.remedy,
        )
        for row in matrix.known_broken
    ]
    return (head, *lines)


def _whose(affected: Affected) -> str:
    return f"{affected.scheme.value} ({affected.release})" if affected.release else affected.scheme.value


def _range(events: Sequence[Event]) -> str:
    words = []
    for event in events:
        version = event.version.rstrip("~")
        words.append(f"from {version}" if event.broken else f"to before {version}")
    return ", ".join(words).replace(", to", " to")


def place_table(matrix: Matrix) -> Table:
    """A line for each kind of place a system may run in."""
    head = ("Place", "What is done", "Why, and where to install")
    lines = [
        (row.title, row.severity.value, f"{row.cause}. {row.remedy}" if row.cause else row.remedy)
        for row in matrix.virtualization
    ]
    return (head, *lines)


def text(matrix: Matrix) -> str:
    """For a terminal: a line for each row, and its prose below."""
    parts = [
        ("Distributions", distro_table(matrix.distros), 4),
        (f"Kernels ({matrix.kernels.oldest} to {matrix.kernels.newest})", kernel_table(matrix.kernels.series), 3),
        ("Known faults of kernels", fault_table(matrix), 3),
        ("Places", place_table(matrix), 2),
    ]
    return "\n".join(f"{title}\n\n{_listing(table, columns)}" for title, table, columns in parts)


def _listing(table: Table, columns: int) -> str:
    """The first columns aligned, the others wrapped, each behind its head."""
    head, *lines = table
    widths = [max(len(line[at]) for line in table) for at in range(columns)]
    listed = []
    for line in lines:
        listed.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        for name, cell in zip(head[columns:], line[columns:]):
            listed.append(fill(f"{name}: {cell}", 100, initial_indent="    ", subsequent_indent="      "))
    return "\n".join(listed) + "\n"


def markdown(table: Table) -> str:
    """For a page."""
    head, *lines = (tuple(cell.replace("|", "\\|") for cell in line) for line in table)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *lines))


def as_json(matrix: Matrix) -> str:
    """For a program: the keys of matrix.yaml, each row with every key."""
    return json.dumps(_plain(matrix), indent=2, ensure_ascii=False)


def _plain(value: object) -> object:
    for kind, plain in _PLAIN.items():
        if isinstance(value, kind):
            return plain(value)
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def _plain_mapping(value: Mapping[object, object]) -> object:
    return {str(_plain(key)): _plain(item) for key, item in value.items()}


_PLAIN: dict[type, Callable[..., object]] = {
    Enum: lambda value: value.value,
    date: date.isoformat,
    tuple: lambda value: [_plain(item) for item in value],
    Mapping: _plain_mapping,
}
