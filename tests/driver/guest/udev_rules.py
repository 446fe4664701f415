# SPDX-License-Identifier: GPL-2.0-or-later
"""Our udev rules in a guest, as packages install them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.driver.guest.commands import run

RULES = Path("/hotcopy/packaging/common/59-hotcopy.rules")
DIRECTORY = Path("/run/udev/rules.d")
INSTALLED = DIRECTORY / RULES.name


def reload_rules() -> None:
    """Has udev read its rules again."""
    run("udevadm", "control", "--reload")


@contextlib.contextmanager
def installed_rules() -> Iterator[None]:
    """Our rules, for as long as the with block lasts."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    shutil.copy(RULES, INSTALLED)
    reload_rules()
    try:
        yield
    finally:
        INSTALLED.unlink()
        reload_rules()
