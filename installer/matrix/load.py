# SPDX-License-Identifier: GPL-2.0-or-later
"""matrix.yaml into the types of the model."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path

from installer.matrix.distros import read_distros
from installer.matrix.known import read_known_broken
from installer.matrix.model import (
    Family,
    Kernels,
    KernelSeries,
    Matrix,
    RequiredCommand,
    Requirements,
    Severity,
    Tier,
    Virtualization,
)
from installer.matrix.reader import Mapping, Value, read
from installer.matrix.rows import unique, verified

NAME = "matrix.yaml"


@functools.cache  # reading takes a fifth of a second, and seconds on an emulated machine
def load(path: Path | None = None) -> Matrix:
    """The matrix in the file, by default the one that belongs to this installer; MatrixError names file, key, cause."""
    # In a package and in a .pyz the file is data of this package; in the tree that is a link to it.
    source = path if path else resources.files("installer.matrix").joinpath(NAME)
    return parse(source.read_text(encoding="utf-8"), str(path or NAME))


def parse(text: str, file: str = NAME) -> Matrix:
    """The matrix in a text."""
    top = read(text, file).mapping()
    matrix = Matrix(
        distros=read_distros(top["distros"]),
        kernels=_kernels(top["kernels"].mapping()),
        known_broken=read_known_broken(top["known_broken"]),
        virtualization=_virtualization(top["virtualization"]),
        requirements=_requirements(top["requirements"].mapping()),
    )
    top.finish()
    return matrix


def _kernels(row: Mapping) -> Kernels:
    series = tuple(_series(item.mapping()) for item in row["series"].items())
    unique(row["series"], [each.series for each in series])
    kernels = Kernels(row["oldest"].text(), row["newest"].text(), row["older"].text(), row["newer"].text(), series)
    names = [each.series for each in series]
    for key in ("oldest", "newest"):
        if row[key].text() not in names:
            raise row[key].error(f"{row[key].text()} is not among the series")
    row.finish()
    return kernels


def _series(row: Mapping) -> KernelSeries:
    series = KernelSeries(row["series"].text(), row["tier"].one_of(Tier), verified(row), row["found_in"].text())
    row.finish()
    return series


def _virtualization(value: Value) -> tuple[Virtualization, ...]:
    rows = []
    for item in value.items():
        row = item.mapping()
        place = Virtualization(
            key=row["key"].text(),
            title=row["title"].text(),
            detect=row["detect"].texts(),
            severity=row["severity"].one_of(Severity),
            cause=row.text("cause"),
            remedy=row["remedy"].text(),
        )
        if place.severity is not Severity.OK and not place.cause:
            raise row.error("a place that is not ok needs a 'cause'")
        row.finish()
        rows.append(place)
    unique(value, [row.key for row in rows])
    unique(value, [name for row in rows for name in row.detect])
    return tuple(rows)


def _requirements(row: Mapping) -> Requirements:
    commands = tuple(_command(item.mapping()) for item in row["commands"].items())
    unique(row["commands"], [each.command for each in commands])
    requirements = Requirements(
        row["memory_mib"].number(), row["free_space_percent"].number(), row["python"].text(), commands
    )
    row.finish()
    return requirements


def _command(row: Mapping) -> RequiredCommand:
    packages: dict[Family, str] = {}
    if value := row.get("packages"):
        names = value.mapping()
        packages = {family: names[family.value].text() for family in Family if family.value in names}
        names.finish()
    command = RequiredCommand(row["command"].text(), row["purpose"].text(), row["package"].text(), packages)
    row.finish()
    return command
