# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages for Debian, Ubuntu and what derives from them, with debhelper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hotcopy.output import Output
from installer.build import layout, template, workshop
from installer.build.facts import Facts
from installer.build.layout import Places
from installer.matrix.model import Family
from installer.payload import PayloadFile

PLACES = Places(hooks=True)
_TOOLS = {
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "dh_dkms": "dh-dkms",
    "dh_python3": "dh-python",
}
_LIBRARIES = {
    "distro": "python3-distro",
    "jinja2": "python3-jinja2",
    "packaging": "python3-packaging",
    "pyyaml": "python3-yaml",
}
_ESSENTIAL = ("util-linux",)  # on every Debian: a dependency without a version is an error there
# By the names that debhelper wants.
_UNITS = {
    "hotcopy.service": "hotcopy.service",
    "hotcopy-clean.service": "hotcopy.hotcopy-clean.service",
    "59-hotcopy.rules": "hotcopy.udev",
}


def values(facts: Facts) -> Mapping[str, object]:
    """What the templates of packaging/deb get."""
    return {
        "version": facts.version,
        "summary": f"{facts.summary[0].lower()}{facts.summary[1:]}",
        "maintainer": facts.maintainer,
        "releases": facts.releases,
        "python": facts.python,
        "oldest": facts.oldest,
        "commands": [name for name in facts.commands(Family.DEBIAN) if name not in _ESSENTIAL],
        "libraries": [_LIBRARIES[name] for name in facts.libraries],
    }


def debian_directory(facts: Facts) -> tuple[PayloadFile, ...]:
    """debian/ of the packages, units and rules included."""
    units = layout.units()
    return (
        *template.directory("deb/hotcopy", values(facts)),
        *(PayloadFile(name, units[unit]) for unit, name in _UNITS.items()),
        PayloadFile("hotcopy-dkms.dkms", layout.dkms_conf(PLACES)),
    )


def build_from(files: Iterable[PayloadFile], target: Path, out: Output, *, epoch: int) -> tuple[Path, ...]:
    """Runs dpkg-buildpackage on a tree with these files, and delivers what comes out. InstallError."""
    workshop.need(_TOOLS)
    with workshop.scratch("deb") as scratch:
        workshop.write(scratch / "source", files)
        workshop.run(
            ["dpkg-buildpackage", "--build=binary", "--unsigned-changes", "--no-sign"],
            cwd=scratch / "source",
            env={"SOURCE_DATE_EPOCH": str(epoch), "DEB_BUILD_OPTIONS": "nocheck", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        return workshop.deliver(scratch.glob("*.deb"), target, out)


def _under(directory: str, files: Iterable[PayloadFile]) -> Iterable[PayloadFile]:
    return (PayloadFile(f"{directory}/{file.path}", file.data, file.mode) for file in files)


def build(facts: Facts, target: Path, out: Output) -> tuple[Path, ...]:
    """hotcopy, hotcopy-dkms and hotcopy-installer, for every release."""
    files = list(_under("debian", debian_directory(facts)))
    for name, tree in layout.trees(PLACES).items():
        files += _under(f"trees/{name}", tree)
    return build_from(files, target, out, epoch=facts.epoch)
