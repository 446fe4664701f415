# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-archive-keyring and hotcopy-release: a repository's definition, and the key that signs it, as packages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hotcopy.output import Output
from installer.build import deb, rpm, template
from installer.build.facts import Facts
from installer.build.targets import RpmTarget
from installer.payload import PayloadFile


@dataclass(frozen=True)
class Origin:
    """Where clients find the repositories, and by which key they know them."""

    url: str  # without a slash at its end
    armoured: bytes
    binary: bytes


def sources(origin: Origin) -> str:
    """apt's source, in deb822 form."""
    return template.file("deb/keyring/hotcopy.sources.j2", {"url": origin.url})


def repo(origin: Origin, target: RpmTarget) -> str:
    """dnf's and zypper's definition."""
    return template.file("rpm/hotcopy.repo.j2", {"url": origin.url, "target": target})


def build_deb(facts: Facts, origin: Origin, target: Path, out: Output) -> tuple[Path, ...]:
    """hotcopy-archive-keyring."""
    values = {**deb.values(facts), "url": origin.url}
    files = [
        replace(file, path=f"debian/{file.path}")
        for file in template.directory("deb/keyring", values)
        if file.path != "hotcopy.sources"
    ]
    files += [
        PayloadFile("hotcopy.sources", sources(origin).encode()),
        PayloadFile("hotcopy-archive-keyring.gpg", origin.binary),
    ]
    return deb.build_from(files, target, out, epoch=facts.epoch)


def build_rpm(facts: Facts, origin: Origin, target: RpmTarget, place: Path, out: Output) -> tuple[Path, ...]:
    """hotcopy-release for one target."""
    text = template.file("rpm/hotcopy-release.spec.j2", rpm.values(facts, target))
    files = (PayloadFile("hotcopy.repo", repo(origin, target).encode()), PayloadFile("key", origin.armoured))
    source = rpm.archive("hotcopy-release", files, facts.epoch)
    return rpm.build_from("hotcopy-release", text, source, target, place, out, epoch=facts.epoch)
