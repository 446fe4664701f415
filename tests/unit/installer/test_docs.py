# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/installing.md says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from installer import cli, doctor
from installer.checks import registry
from installer.exitcodes import ExitCode
from tests.unit.installer.recorded import NAMES, recorded

TREE = Path(__file__).resolve().parents[3]
PAGE = (TREE / "docs/installing.md").read_text(encoding="utf-8")


def test_every_exit_status() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [(int(number), text) for number, text in rows] == [(code.value, code.meaning) for code in ExitCode]


def test_every_check(tmp_path: Path) -> None:
    told = set(re.findall(r"^\| `(HC-[A-Z-]+)`", PAGE, re.MULTILINE))
    found: set[str] = set()
    for name in NAMES:
        context = recorded(name, tmp_path / name)
        for finding in registry.run((*registry.BEFORE, *doctor.INSTALLED), context):
            found.add("HC-BROKEN" if finding.id.startswith("HC-BROKEN") else finding.id)
    assert found <= told
    assert told - found == {"HC-HALF-DONE"}  # no recorded machine was ever installed on


def test_every_option_is_told() -> None:
    for option in re.findall(r"--[a-z-]+", cli.parser().format_usage()):
        assert option in PAGE, option
