"""For people: docs/matrix.md, and one file of HTML with the logs in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from tests.distro.cells import Cell, Row, Stage
from tests.distro.report.table import summary, table

_HERE = Path(__file__).parent


def _page(name: str, rows: Sequence[Row], cells: Sequence[Cell], when: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = table(rows, cells)
    return environment.get_template(name).render(
        table=made, stages=[stage.value for stage in Stage], summary=summary(cells), when=when
    )


def as_markdown(rows: Sequence[Row], cells: Sequence[Cell], when: str) -> str:
    """docs/matrix.md."""
    return _page("matrix.md.j2", rows, cells, when)


def as_html(rows: Sequence[Row], cells: Sequence[Cell], when: str) -> str:
    """The same, with logs; nothing in it is loaded from elsewhere."""
    return _page("matrix.html.j2", rows, cells, when)
