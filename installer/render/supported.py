# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/supported.md."""

from __future__ import annotations

from importlib import resources

import jinja2

from installer.matrix.model import Matrix, Tier
from installer.matrix.table import distro_table, fault_table, kernel_table, markdown, place_table


def supported(matrix: Matrix) -> str:
    """The page."""
    template = resources.files("installer.render").joinpath("supported.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    current = [row for row in matrix.distros if row.tier is not Tier.RETIRED]
    retired = [row for row in matrix.distros if row.tier is Tier.RETIRED]
    return environment.from_string(template).render(
        matrix=matrix,
        current=markdown(distro_table(current)),
        retired=markdown(distro_table(retired)),
        kernels=markdown(kernel_table(matrix.kernels.series)),
        faults=markdown(fault_table(matrix)),
        places=markdown(place_table(matrix)),
    )
