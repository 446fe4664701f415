# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a matrix.yaml is said with its place and its cause."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from installer.matrix.load import load, parse
from installer.matrix.reader import MatrixError, Value, read

TREE = Path(__file__).resolve().parents[4]
REAL = (TREE / "matrix.yaml").read_text(encoding="utf-8")


def value(text: str) -> Value:
    return read(text, "some.yaml").mapping()["key"]


@pytest.mark.parametrize(
    ("text", "kind", "cause"),
    [
        ("key: 6.10", "text", "some.yaml:1: key: text expected, a number found; put it in quotes"),
        ("key: 6", "text", "text expected, a whole number found; put it in quotes"),
        ("key: no", "text", "text expected, true or false found; put it in quotes"),
        ("key:", "text", "text expected, nothing found"),
        ("key: ''", "text", "text expected, an empty one found"),
        ("key: {a: b}", "text", "text expected, a mapping found"),
        ("key: soon", "day", "a date expected, text found"),
        ("key: 2026-02-30", "day", "day"),
        ("key: 0", "number", "a whole number above 0 expected, 0 found"),
        ("key: 0x10", "number", "a whole number above 0 expected, 0x10 found"),
        ("key: yes", "flag", "true or false expected, yes found"),
        ("key: text", "items", "a list expected, text found"),
        ("key: [a, b, a]", "texts", r"key\[2\]: a is there twice"),
        ("key: [a]", "mapping", "a mapping expected, a list found"),
        ("key: {a: 1,\n a: 2}", "mapping", "some.yaml:2: key.a: the key is there twice"),
    ],
)
def test_wrong_value(text: str, kind: str, cause: str) -> None:
    with pytest.raises(MatrixError, match=cause):
        getattr(value(text), kind)()


def test_right_values() -> None:
    assert value("key: >-\n  two\n  lines").text() == "two lines"
    assert value("key: '6.10'").text() == "6.10"
    assert value("key: 2028-06-30").day().isoformat() == "2028-06-30"
    assert value("key: 512").number() == 512
    assert value("key: false").flag() is False
    assert value("key: []").texts() == ()


@pytest.mark.parametrize(
    ("text", "cause"), [("a: [", "some.yaml: not YAML: "), ("", "some.yaml: empty"), ("- a", "a mapping expected")]
)
def test_not_a_matrix(text: str, cause: str) -> None:
    with pytest.raises(MatrixError, match=cause):
        read(text, "some.yaml").mapping()


# Each is a change to the real file, and what is said of it.
MUTATIONS = [
    (
        "    family: debian\n",
        "    family: gentoo\n",
        r"matrix.yaml:\d+: distros\[0\].family: one of debian, .* expected, gentoo",
    ),
    ("    scheme: debian\n", "", r"distros\[0\]: the key 'scheme' is missing"),
    (
        "    scheme: debian\n",
        "    scheme: debian\n    colour: red\n",
        r"distros\[0\].colour: unknown key; known here: .*advice",
    ),
    ("  - key: debian-12\n", "  - key: debian-13\n", "distros: debian-13 is there twice"),
    ('    versions: ["12"]\n', '    versions: ["13"]\n', "distros: debian  13 is there twice"),
    ("    end_of_life: 2028-08-09\n", "    end_of_life: next year\n", "end_of_life: a date expected, text found"),
    ('  oldest: "5.10"\n', '  oldest: "5.11"\n', "kernels.oldest: 5.11 is not among the series"),
    ('  newest: "7.3"\n', '  newest: "9.9"\n', "kernels.newest: 9.9 is not among the series"),
    ('          - introduced: "6.1.64-1~"\n', "", "must take turns, beginning with introduced"),
    ('          - fixed: "6.1.66-1~"\n', '          - fixed: "6.1.60-1"\n', "6.1.60-1 is not newer than 6.1.64-1~"),
    ('          - introduced: "6.1.64"\n', '          - introduced: "6.1.64-1"\n', "'6.1.64-1' is no upstream version"),
    (
        '          - introduced: "6.1.64"\n',
        '          - began: "6.1.64"\n',
        "introduced or fixed expected, began found",
    ),
    ('        release: "*.fc12*"\n', "", "the scheme rpm needs 'release'"),
    ("    severity: refuse\n", "    severity: ok\n", r"severity: warn or refuse expected, ok found"),
    ("    cause: ESXi is no Linux\n", "", "a place that is not ok needs a 'cause'"),
    ("    detect: [esxi]\n", "    detect: [wsl]\n", "virtualization: wsl is there twice"),
    ("  memory_mib: 512\n", '  memory_mib: "512"\n', "memory_mib: a whole number expected, text found"),
    ("packages: {debian: mount}", "packages: {gentoo: mount}", "packages.gentoo: unknown key"),
    ("requirements:\n", "requests:\n", "the key 'requirements' is missing"),
]


@pytest.mark.parametrize(("old", "new", "cause"), MUTATIONS, ids=range(len(MUTATIONS)))
def test_mutated_matrix(old: str, new: str, cause: str) -> None:
    assert old in REAL
    with pytest.raises(MatrixError, match=cause) as raised:
        parse(REAL.replace(old, new, 1))
    assert re.match(r"matrix\.yaml:\d+: ", str(raised.value))


@pytest.mark.parametrize("tier", ["retired", "planned"])
def test_who_is_turned_away_gets_advice(tier: str) -> None:
    row = REAL.index("  - key: arch\n")
    text = REAL[:row] + REAL[row:].replace("tier: preview", f"tier: {tier}", 1)
    with pytest.raises(MatrixError, match=f"a {tier} row needs 'advice'"):
        parse(text)


def test_the_package_has_the_file_of_the_tree() -> None:
    assert load() == load(TREE / "matrix.yaml")


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "matrix.yaml")
