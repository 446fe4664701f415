# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows worth a test, as the job matrix that a CI service takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from installer.matrix.model import Distro, Level, Matrix, Tier


class Form(Enum):
    """Whose job matrix."""

    GITHUB = "github"  # strategy.matrix, by fromJSON
    GITLAB = "gitlab"  # parallel:matrix of a hidden job, for a child pipeline


@dataclass(frozen=True)
class Row:
    """A distribution, with what CI must know to test it."""

    distro: Distro
    kernels: tuple[str, ...]  # "current" where they follow upstream
    guest: str  # packages: make matrix boots a guest of its packages; box: only a Vagrant box can tell


def rows(matrix: Matrix) -> Iterator[Row]:
    """Every row that is supported or a preview and that a guest can be made of, in the order of matrix.yaml."""
    planned = {row.series for row in matrix.kernels.series if row.tier is Tier.PLANNED}
    for distro in matrix.distros:
        if distro.tier not in (Tier.SUPPORTED, Tier.PREVIEW):
            continue
        kernels = tuple(name for name in distro.kernels if name not in planned) or ("current",)
        if distro.verified.level is Level.BOOTED:
            yield Row(distro, kernels, "packages")
        elif distro.boxes:
            yield Row(distro, kernels, "box")


def job_matrix(matrix: Matrix, form: Form) -> str:
    """One line of JSON; the keys are in docs/installing.md."""
    value = _github(matrix) if form is Form.GITHUB else _gitlab(matrix)
    return json.dumps(value, ensure_ascii=False)


def _github(matrix: Matrix) -> object:
    include = [
        {"row": row.distro.key, "kernel": kernel, "tier": row.distro.tier.value, "guest": row.guest}
        for row in rows(matrix)
        for kernel in row.kernels
    ]
    return {"include": include}


def _gitlab(matrix: Matrix) -> object:
    variables = [
        {
            "ROW": row.distro.key,
            "KERNEL": list(row.kernels),
            "TIER": row.distro.tier.value,
            "GUEST": row.guest,
        }
        for row in rows(matrix)
    ]
    return {".support-matrix": {"parallel": {"matrix": variables}}}
