# SPDX-License-Identifier: GPL-2.0-or-later
"""What packages say of the project: from pyproject.toml, matrix.yaml and packaging/releases.yaml, nowhere else."""

from __future__ import annotations

import datetime
import email.utils
import importlib
import os
import re
import sys
from dataclasses import dataclass
from typing import Any

import yaml

from hotcopy import __version__
from installer import payload
from installer.errors import InstallError
from installer.matrix.load import load
from installer.matrix.model import Family, Matrix


@dataclass(frozen=True)
class Release:
    """One version and what it brought."""

    version: str
    date: datetime.date
    changes: tuple[str, ...]

    @property
    def epoch(self) -> int:
        """Noon of its day, seconds since 1970."""
        noon = datetime.datetime.combine(self.date, datetime.time(12), datetime.timezone.utc)
        return int(noon.timestamp())

    @property
    def rfc2822(self) -> str:
        """For Debian's changelog."""
        return email.utils.formatdate(self.epoch)

    @property
    def rpm_date(self) -> str:
        """For RPM's changelog, whatever the locale."""
        weekday, day, month, year = email.utils.formatdate(self.epoch).replace(",", "").split()[:4]
        return f"{weekday} {month} {day} {year}"


@dataclass(frozen=True)
class Facts:
    """All that templates get of the project."""

    version: str
    summary: str
    maintainer: str
    releases: tuple[Release, ...]  # newest first
    python: str  # the oldest that runs hcp: "3.9"
    libraries: tuple[str, ...]  # of hotcopy-install, by their names on PyPI
    matrix: Matrix

    @property
    def oldest(self) -> str:
        """The oldest kernel, "5.10"."""
        return self.matrix.kernels.oldest

    @property
    def epoch(self) -> int:
        """The time that files in packages have: SOURCE_DATE_EPOCH, or the release's day."""
        return int(os.environ.get("SOURCE_DATE_EPOCH") or self.releases[0].epoch)

    def commands(self, family: Family) -> tuple[str, ...]:
        """The packages with the commands that hcp calls."""
        rows = self.matrix.requirements.commands
        return tuple(sorted({row.packages.get(family, row.package) for row in rows}))


def _project() -> dict[str, Any]:
    try:
        toml = importlib.import_module("tomllib")
    except ModuleNotFoundError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise InstallError(
            f"building packages takes Python 3.11, this is {version}",
            "build on Debian 12 or later, or name a newer Python",
        ) from error
    text = payload.bundle().joinpath("pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = toml.loads(text)["project"]
    return found


def _releases() -> tuple[Release, ...]:
    rows = yaml.safe_load(payload.bundle().joinpath("releases.yaml").read_text(encoding="utf-8"))
    return tuple(Release(str(row["version"]), row["date"], tuple(row["changes"])) for row in rows)


def read() -> Facts:
    """The facts; InstallError when the files do not fit together."""
    project = _project()
    releases = _releases()
    for name, version in (("pyproject.toml", project["version"]), ("releases.yaml", releases[0].version)):
        if version != __version__:
            raise InstallError(
                f"{name} says version {version}, hotcopy/__init__.py {__version__}", "make them the same"
            )
    matrix = load()
    person = project["maintainers"][0]
    return Facts(
        __version__,
        project["description"],
        f"{person['name']} <{person['email']}>",
        releases,
        matrix.requirements.python,
        tuple(re.split(r"[^\w-]", line, maxsplit=1)[0] for line in project["dependencies"]),
        matrix,
    )
