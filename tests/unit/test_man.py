# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages name exactly the options that the programs have."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from hotcopy import grammar, setup
from installer import cli as installer
from installer.build import cli as build
from installer.exitcodes import ExitCode
from installer.publish import cli as publish

PAGES = Path(__file__).parents[2] / "docs/man"


def options(grammar: argparse.ArgumentParser) -> set[str]:
    return {name for action in grammar._actions for name in action.option_strings}


def page(name: str) -> str:
    """The text without the escapes and requests of roff."""
    text = (PAGES / name).read_text(encoding="ascii").replace("\\-", "-")
    return re.sub(r"\\f.|\\&", "", text)


def documented(text: str) -> set[str]:
    """The options that have a paragraph of their own: the line after .TP."""
    tags = re.findall(r"^\.TP\n(.*)$", text.split(".SH OPTIONS", 1)[1].split(".SH EXIT STATUS", 1)[0], re.MULTILINE)
    return {option for tag in tags for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", tag)}


@pytest.mark.parametrize(
    ("name", "grammar"),
    [("hcp.8", grammar.parser()), ("hcp-setup.8", setup.parser())],
)
def test_every_option_is_documented(name: str, grammar: argparse.ArgumentParser) -> None:
    text = page(name)
    assert options(grammar) == documented(text)
    synopsis = text.split(".SH DESCRIPTION", 1)[0]
    for action in grammar._actions:
        assert not action.option_strings or any(option in synopsis for option in action.option_strings), action


def test_every_file_that_is_named_exists() -> None:
    text = page("hcp.8")
    common = Path(__file__).parents[2] / "packaging/common"
    for path in common.iterdir():
        assert path.name in text, path


def test_every_option_and_exit_status_of_the_installer_is_documented() -> None:
    text = page("hotcopy-install.8")
    own, *actions = re.split(r"^\.SS .*$", text, flags=re.MULTILINE)
    end = ".SH EXIT STATUS"
    assert options(installer.parser()) == documented(f"{own}\n{end}")
    grammars = (build.build_parser([]), build.modules_parser([]), publish.parser())
    for of_action, part in zip(grammars, actions):
        assert options(of_action) - {"-h", "--help"} == documented(f".SH OPTIONS\n{part}\n{end}"), of_action.prog
    statuses = dict(re.findall(r"^\.TP\n\.B (\d+)\n(.*)$", text.split(end)[1], re.MULTILINE))
    assert statuses == {str(code.value): code.meaning for code in ExitCode}
