# SPDX-License-Identifier: GPL-2.0-or-later
"""Which package has which files: the same trees for .deb and .rpm, but for a few places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING

from hotcopy import __version__
from installer import payload
from installer.payload import PayloadFile

if TYPE_CHECKING:
    from importlib.abc import Traversable

PACKAGES = ("hotcopy", "hotcopy-dkms", "hotcopy-installer")
INSTALLER = "usr/lib/hotcopy-installer"
HELPER = "usr/lib/hotcopy-dkms/kernels"
HOOKS = ("etc/kernel/postinst.d/hotcopy-dkms", "etc/kernel/header_postinst.d/hotcopy-dkms")
_PYTHON = "/usr/bin/python3"
_UNWANTED = ("__pycache__", "compat/config.h", "compat/kernel.stamp")
_INSTALL = """\
#!{python} -I
import sys

sys.path.insert(0, "/{library}")
from installer.cli import main

sys.exit(main())
"""


@dataclass(frozen=True)
class Places:
    """Where a distribution keeps things, below the root; and its Python."""

    python: str = _PYTHON
    programs: str = "usr/sbin"
    units: str | None = None  # none: debhelper puts them where they belong, rules too
    rules: str | None = None
    hooks: bool = False  # whether kernels call /etc/kernel/*.d


def _text(*path: str) -> str:
    place = payload.bundle()
    for part in path:
        place = place.joinpath(part)
    return place.read_text(encoding="utf-8")


def units() -> dict[str, bytes]:
    """The units and the rules by their names, as packages have them."""
    return {file.path.rsplit("/", 1)[1]: file.data for file in payload.integration()}


def _command(places: Places) -> Iterator[PayloadFile]:
    for file in payload.command(places.python):
        if file.path.startswith("usr/sbin/"):
            if not file.path.endswith("/hotcopy"):  # a link in packages
                yield replace(file, path=f"{places.programs}/{file.path[9:]}")
        else:
            yield file
    yield PayloadFile("usr/share/bash-completion/completions/hcp", _text("completion", "hcp").encode())
    for name, data in units().items():
        directory = places.rules if name.endswith(".rules") else places.units
        if directory:
            yield PayloadFile(f"{directory}/{name}", data)
    if places.units:
        preset = "".join(f"enable {name}\n" for name in payload.UNITS)
        yield PayloadFile(f"{places.units}-preset/80-hotcopy.preset", preset.encode())


def dkms_conf(places: Places) -> bytes:
    """What DKMS is told of the driver."""
    data = next(file.data for file in payload.driver() if file.path.endswith("/dkms.conf"))
    # Where kernels call our hook, DKMS's own must leave the driver alone: it fails the kernel's package (Debian 12).
    return data.replace(b'AUTOINSTALL="yes"', b'AUTOINSTALL=""') if places.hooks else data


def _dkms(places: Places) -> Iterator[PayloadFile]:
    for file in payload.driver():
        if not (places.hooks and file.path.endswith("/dkms.conf")):  # which dh_dkms puts there
            yield file
    yield PayloadFile(HELPER, _text("dkms", "kernels").replace("@VERSION@", __version__).encode(), 0o755)
    if places.hooks:
        for path in HOOKS:
            yield PayloadFile(path, _text("dkms", "kernel-hook").encode(), 0o755)


def _tree(directory: Traversable, path: str) -> Iterator[PayloadFile]:
    for item in sorted(directory.iterdir(), key=lambda item: item.name):
        name = f"{path}/{item.name}"
        if name.endswith(_UNWANTED) or item.name.startswith("."):  # what Python and builds leave
            continue
        if item.is_dir():
            if item.name != "kmod":  # an old build may lie in it
                yield from _tree(item, name)
        else:
            yield PayloadFile(name, item.read_bytes())


def _installer(places: Places) -> Iterator[PayloadFile]:
    # With a copy of hcp's code: it is for machines where hotcopy is not installed, or broken.
    for package in ("hotcopy", "installer"):
        yield from _tree(resources.files(package), f"{INSTALLER}/{package}")
    for file in payload.driver():
        if not file.path.endswith("/dkms.conf"):
            name = file.path[len(payload.SOURCE) + 1 :]
            yield replace(file, path=f"{INSTALLER}/installer/bundle/kmod/{name}", mode=0o644)
    text = _INSTALL.format(python=places.python, library=INSTALLER)
    yield PayloadFile(f"{places.programs}/hotcopy-install", text.encode(), 0o755)
    yield PayloadFile("usr/share/man/man8/hotcopy-install.8", _text("man", "hotcopy-install.8").encode())


def trees(places: Places) -> dict[str, tuple[PayloadFile, ...]]:
    """The files of each package, by its name."""
    makers = (_command, _dkms, _installer)
    return {name: tuple(maker(places)) for name, maker in zip(PACKAGES, makers)}
