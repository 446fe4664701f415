# SPDX-License-Identifier: GPL-2.0-or-later
"""What is generated from matrix.yaml is what stands in the tree."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from installer.matrix.load import load
from installer.matrix.table import as_json, distro_table, markdown, text
from installer.render.driver_table import driver_table
from installer.render.outputs import OUTPUTS, stale, write
from tests.driver.bench.kernels import KERNELS

TREE = Path(__file__).resolve().parents[4]
MATRIX = load()


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_drift(name: str) -> None:
    assert (TREE / name).read_text(encoding="utf-8") == OUTPUTS[name](MATRIX), "run: python -m installer.render"


def test_stale_files_are_found_and_written(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "kmod").mkdir()
    assert write(tmp_path, MATRIX) == list(OUTPUTS)
    assert stale(tmp_path, MATRIX) == []
    (tmp_path / "docs/supported.md").write_text("changed by hand", encoding="utf-8")
    assert stale(tmp_path, MATRIX) == ["docs/supported.md"]


def test_the_driver_table_has_every_pattern() -> None:
    entries = re.findall(
        r'\{\n\t\t\.release = "([^"]+)",\n\t\t\.version = "([^"]+)",\n\t\t\.reason = "[^"\n]+",\n\t\},\n',
        driver_table(MATRIX),
    )
    patterns = [
        (pattern.release, pattern.version)
        for row in MATRIX.known_broken
        for one in row.affected
        for pattern in one.driver
    ]
    assert entries == patterns != []


def test_the_driver_table_takes_ascii_only() -> None:
    (row,) = [row for row in MATRIX.known_broken if row.key == "ext4-o-sync-corruption"]
    with pytest.raises(ValueError, match="ASCII only"):
        driver_table(replace(MATRIX, known_broken=(replace(row, title="schön"),)))


def test_the_page_and_the_text_have_every_row() -> None:
    page, printed = OUTPUTS["docs/supported.md"](MATRIX), text(MATRIX)
    titles = [row.title for row in MATRIX.distros] + [row.title for row in MATRIX.virtualization]
    titles += [row.key for row in MATRIX.known_broken] + [row.series for row in MATRIX.kernels.series]
    for title in titles:
        assert title in page and title in printed


def test_json_is_the_matrix() -> None:
    data = json.loads(as_json(MATRIX))
    assert [row["key"] for row in data["distros"]] == [row.key for row in MATRIX.distros]
    (debian,) = [row for row in data["distros"] if row["key"] == "debian-13"]
    assert (debian["family"], debian["end_of_life"], debian["verified"]["level"]) == ("debian", "2028-08-09", "booted")
    assert data["known_broken"][0]["affected"][0]["events"][0] == {"version": "6.1.64-1~", "broken": True}
    assert data["requirements"]["commands"][0]["packages"] == {"debian": "mount"}


def test_markdown_keeps_bars_in_cells() -> None:
    assert markdown([("a",), ("x|y",)]) == "| a |\n| --- |\n| x\\|y |"


def test_the_text_fits_a_terminal_and_has_a_line_for_a_row() -> None:
    lines = text(MATRIX).splitlines()
    assert max(map(len, lines)) <= 120
    (line,) = [line for line in lines if line.startswith("Debian 13")]
    assert line.split()[-5:] == ["supported", "booted", "2028-08-09", "(long-term", "2030-06-30)"]


def test_tables_are_even() -> None:
    table = distro_table(MATRIX.distros)
    assert {len(line) for line in table} == {len(table[0])}


def test_what_is_called_booted_is_booted_by_the_tests() -> None:
    booted = {row.series for row in MATRIX.kernels.series if row.verified.level.value == "booted"}
    # The bench's "7.x" is the newest 7 there is.
    assert {series if series[0] != "7" else "7.x" for series in booted} == {kernel.name for kernel in KERNELS}
