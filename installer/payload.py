# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed where, when it is built from the sources that the installer carries; packages have the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from hotcopy import __version__

if TYPE_CHECKING:
    from importlib.abc import Traversable

LIBRARY = "usr/lib/hotcopy"
SOURCE = f"usr/src/hotcopy-{__version__}"
UNIT_PLACE = "etc/systemd/system"
UNITS = ("hotcopy.service", "hotcopy-clean.service")
_PROGRAMS = ("hcp", "hotcopy")
_SYSTEM = f"{LIBRARY}/system"
_IN_PROGRAMS = "/usr/bin/python3"  # where the system's own Python is new enough
# How the units call it where hotcopy is in the system's own Python.
_IN_UNITS = "/usr/bin/python3 -I -m hotcopy.system"
_LAUNCHER = """\
#!{python} -IS
import sys

sys.path.insert(0, "/{library}")
from {module} import main

sys.exit(main())
"""


@dataclass(frozen=True)
class PayloadFile:
    """A file as it is to be."""

    path: str  # below the root
    data: bytes
    mode: int = 0o644


def bundle() -> Traversable:
    """The sources: links in a checkout, files in a .pyz or an installed package."""
    return resources.files("installer").joinpath("bundle")


def _is_source(name: str) -> bool:
    # A checkout may have been built in.
    return (name.endswith((".c", ".h", ".sh")) and name != "config.h" and ".mod." not in name) or name in (
        "Makefile",
        "VERSION",
    )


def _driver(directory: Traversable, path: str) -> Iterator[PayloadFile]:
    for item in sorted(directory.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            if not item.name.startswith("."):
                yield from _driver(item, f"{path}/{item.name}")
        elif _is_source(item.name):
            mode = 0o755 if item.name.endswith(".sh") else 0o644
            yield PayloadFile(f"{path}/{item.name}", item.read_bytes(), mode)


def driver() -> tuple[PayloadFile, ...]:
    """The driver's source, and what DKMS wants to know of it."""
    conf = bundle().joinpath("dkms").joinpath("dkms.conf").read_text(encoding="utf-8").replace("@VERSION@", __version__)
    found = _driver(bundle().joinpath("kmod"), SOURCE)
    return (*found, PayloadFile(f"{SOURCE}/dkms.conf", conf.encode()))


def digest(files: tuple[PayloadFile, ...]) -> str:
    """One word for their contents."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.path} {len(file.data)}\n".encode() + file.data)
    return total.hexdigest()


def _launcher(python: str, module: str) -> bytes:
    return _LAUNCHER.format(python=python, library=LIBRARY, module=module).encode()


def command(python: str) -> Iterator[PayloadFile]:
    """hcp, hotcopy and hcp-setup, run by this Python."""
    for item in sorted(resources.files("hotcopy").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".py"):
            yield PayloadFile(f"{LIBRARY}/hotcopy/{item.name}", item.read_bytes())
    program = bundle().joinpath("common").joinpath("hcp").read_text(encoding="utf-8")
    for name in _PROGRAMS:
        text = program.replace(f"#!{_IN_PROGRAMS} ", f"#!{python} ", 1)
        yield PayloadFile(f"usr/sbin/{name}", text.encode(), 0o755)
    yield PayloadFile("usr/sbin/hcp-setup", _launcher(python, "hotcopy.setup"), 0o755)
    yield PayloadFile(_SYSTEM, _launcher(python, "hotcopy.system"), 0o755)
    for item in sorted(bundle().joinpath("man").iterdir(), key=lambda item: item.name):
        if item.name.startswith("hcp") and item.name.endswith(".8"):
            yield PayloadFile(f"usr/share/man/man8/{item.name}", item.read_bytes())


def integration() -> Iterator[PayloadFile]:
    """udev rules and units."""
    common = bundle().joinpath("common")
    yield PayloadFile("etc/udev/rules.d/59-hotcopy.rules", common.joinpath("59-hotcopy.rules").read_bytes())
    for name in UNITS:
        text = common.joinpath(name).read_text(encoding="utf-8").replace(_IN_UNITS, f"/{_SYSTEM}")
        yield PayloadFile(f"{UNIT_PLACE}/{name}", text.encode())


def everything(python: str) -> tuple[PayloadFile, ...]:
    """All files."""
    return (*driver(), *command(python), *integration())
