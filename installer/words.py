# SPDX-License-Identifier: GPL-2.0-or-later
"""The actions of hotcopy-install that have a command line of their own."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

from hotcopy.errors import UsageError
from installer.errors import InstallError
from installer.exitcodes import ExitCode


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors of our own form; descriptions keep their lines."""

    def __init__(self, prog: str, **named: Any) -> None:
        super().__init__(prog=prog, formatter_class=argparse.RawDescriptionHelpFormatter, **named)

    def error(self, message: str) -> NoReturn:
        """Usage is wrong."""
        raise UsageError(message, f"{self.prog} --help shows what there is")


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(("hotcopy", "installer")):
            raise
        raise InstallError(
            f"the Python library {error.name} is missing", f"on Debian: apt-get install python3-{error.name}"
        ) from error


def _build(words: Sequence[str]) -> ExitCode:
    code: ExitCode = _load("installer.build.cli").build(words)
    return code


def _build_modules(words: Sequence[str]) -> ExitCode:
    code: ExitCode = _load("installer.build.cli").build_modules(words)
    return code


def _publish(words: Sequence[str]) -> ExitCode:
    code: ExitCode = _load("installer.publish.cli").publish(words)
    return code


# Loaded when they are asked for: they need jinja2, which an installation does without.
ACTIONS: dict[str, Callable[[Sequence[str]], ExitCode]] = {
    "build": _build,
    "build-modules": _build_modules,
    "publish": _publish,
}
