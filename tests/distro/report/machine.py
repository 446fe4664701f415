"""For programs: JSON, and JUnit's XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from tests.distro.cells import BAD, Cell, Outcome, Row
from tests.distro.results import as_dict


def as_json(rows: Sequence[Row], cells: Sequence[Cell], when: str) -> str:
    """The keys are the fields of cells.py."""
    content = {
        "when": when,
        "rows": [{"row": row.name, "title": row.title, "guest": bool(row.guest)} for row in rows],
        "cells": [as_dict(cell) for cell in cells],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_junit(rows: Sequence[Row], cells: Sequence[Cell]) -> str:
    """A test suite for each row, a test case for each stage; what did not run, or is known to fail, is skipped."""
    top = Xml.Element("testsuites", name="matrix")
    for row in rows:
        own = [cell for cell in cells if cell.row == row.name]
        suite = Xml.SubElement(
            top,
            "testsuite",
            name=row.name,
            tests=str(len(own)),
            failures=str(sum(cell.outcome in BAD for cell in own)),
            skipped=str(sum(cell.outcome in (Outcome.NOT_RUN, Outcome.KNOWN) for cell in own)),
            time=f"{sum(cell.seconds for cell in own):.1f}",
        )
        for cell in own:
            case = Xml.SubElement(
                suite, "testcase", classname=row.name, name=cell.stage.value, time=f"{cell.seconds:.1f}"
            )
            if cell.outcome in BAD:
                Xml.SubElement(case, "failure", message=cell.reason).text = _printable(cell.log)
            elif cell.outcome is not Outcome.PASSED:
                Xml.SubElement(case, "skipped", message=cell.reason)
            elif cell.log:
                Xml.SubElement(case, "system-out").text = _printable(cell.log)
    Xml.indent(top)
    return Xml.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _printable(text: str) -> str:
    """XML has no place for control characters, which a console may have."""
    return "".join(letter for letter in text if letter in "\n\t" or letter >= " ")
