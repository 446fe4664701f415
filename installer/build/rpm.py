# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages for distributions with RPM, with rpmbuild: each target's own, on any host that has rpmbuild."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from hotcopy.output import Output
from installer import payload
from installer.build import layout, template, workshop
from installer.build.facts import Facts
from installer.build.targets import RpmTarget
from installer.families import packager
from installer.payload import PayloadFile

_TOOLS = {"rpmbuild": "rpm"}


def values(facts: Facts, target: RpmTarget) -> Mapping[str, object]:
    """What the templates of packaging/rpm get."""
    names = dict(target.libraries)
    return {
        "target": target,
        "version": facts.version,
        "summary": facts.summary,
        "maintainer": facts.maintainer,
        "releases": facts.releases,
        "python": facts.python,
        "oldest": facts.oldest,
        "commands": facts.commands(target.family),
        "compiler": packager(target.family).compiler("gcc"),
        "libraries": [names[name] for name in facts.libraries],
        "units": " ".join(payload.UNITS),
    }


def spec(facts: Facts, target: RpmTarget) -> str:
    """The spec file."""
    return template.file("rpm/hotcopy.spec.j2", values(facts, target))


def macros(target: RpmTarget) -> str:
    """The definitions of its macros."""
    return template.file("rpm/macros.j2", {"target": target})


def licence() -> PayloadFile:
    """The licence's text, for %license."""
    return PayloadFile("LICENSE", payload.bundle().joinpath("LICENSE").read_bytes())


def archive(name: str, files: Iterable[PayloadFile], epoch: int) -> bytes:
    """A tar.gz of the files below ``name/``, the same each time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            info = tarfile.TarInfo(f"{name}/{file.path}")
            info.size, info.mode, info.mtime = len(file.data), file.mode, epoch
            tar.addfile(info, io.BytesIO(file.data))
    return gzip.compress(packed.getvalue(), mtime=0)


def build_from(
    name: str, text: str, source: bytes | None, target: RpmTarget, place: Path, out: Output, *, epoch: int
) -> tuple[Path, ...]:
    """Runs rpmbuild on a spec, and delivers what comes out. InstallError."""
    workshop.need(_TOOLS)
    with workshop.scratch("rpm") as scratch:
        top = scratch / "top"
        for directory in ("SOURCES", "SPECS", "tmp"):
            (top / directory).mkdir(parents=True)
        (top / f"SPECS/{name}.spec").write_text(text, encoding="utf-8")
        (top / "macros").write_text(macros(target), encoding="utf-8")
        if source is not None:
            (top / f"SOURCES/{name}.tar.gz").write_bytes(source)
        workshop.run(
            [
                *("rpmbuild", "-bb", "--quiet", f"--load={top / 'macros'}"),
                *(
                    "--define",
                    f"_topdir {top}",
                    "--define",
                    f"_tmppath {top / 'tmp'}",
                    "--define",
                    f"_dbpath {top / 'db'}",
                ),
                str(top / f"SPECS/{name}.spec"),
            ],
            env={"SOURCE_DATE_EPOCH": str(epoch)},
        )
        return workshop.deliver((top / "RPMS").rglob("*.rpm"), place, out)


def build(facts: Facts, target: RpmTarget, place: Path, out: Output) -> tuple[Path, ...]:
    """hotcopy, hotcopy-dkms and hotcopy-installer for one target."""
    files = [licence()]
    for name, tree in layout.trees(target.places).items():
        files += [PayloadFile(f"trees/{name}/{file.path}", file.data, file.mode) for file in tree]
    name = f"hotcopy-{facts.version}"
    source = archive(name, files, facts.epoch)
    return build_from(name, spec(facts, target), source, target, place, out, epoch=facts.epoch)
