# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod/known_broken_table.h: the refused kernels as the driver can tell them, by globs on uname -r and uname -v."""

from __future__ import annotations

import json

from installer.matrix.model import Matrix, Severity

_HEAD = """/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generated from matrix.yaml by python -m installer.render: change it there. */
"""


def driver_table(matrix: Matrix) -> str:
    """The lines of an array's initialiser."""
    entries = [
        f"\t{{\n\t\t.release = {_c(pattern.release)},\n\t\t.version = {_c(pattern.version)},\n"
        f"\t\t.reason = {_c(f'{row.title} ({row.key}): boot another kernel')},\n\t}},\n"
        for row in matrix.known_broken
        if row.severity is Severity.REFUSE
        for affected in row.affected
        for pattern in affected.driver
    ]
    return _HEAD + "".join(entries)


def _c(text: str) -> str:
    # What JSON escapes in ASCII, C does in the same way, but for \\u.
    quoted = json.dumps(text)
    if "\\u" in quoted:
        raise ValueError(f"the driver's table takes ASCII only: {text}")
    return quoted
