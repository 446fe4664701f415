# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of hotcopy-install publish."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hotcopy.errors import UsageError
from hotcopy.output import Output
from installer.build import facts as project
from installer.build import repositories, workshop
from installer.build.facts import Facts
from installer.build.repositories import Origin
from installer.build.targets import TARGETS, RpmTarget
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.publish import apt, clients, key, yum
from installer.publish.key import SigningKey
from installer.words import Parser

_DESCRIPTION = """\
Adds packages that hotcopy-install build made to signed repositories in DIR:
DIR/apt for apt, DIR/yum/TARGET for dnf and zypper, with the key, a source and
.repo files for clients, and index.html, which says what to type there. What is
published already stays as it is. Serve DIR over HTTP as it is, and run this
again before the time of --valid-days is over, with or without new packages.
"""


def parser() -> argparse.ArgumentParser:
    """The grammar."""
    grammar = Parser(prog="hotcopy-install publish", description=_DESCRIPTION)
    add = grammar.add_argument
    add("directory", metavar="DIR", type=Path, help="where the repositories are, or will be")
    add("--key", required=True, metavar="KEY", help="the RSA key of gpg that signs, by name or fingerprint")
    add("--url", required=True, metavar="URL", help="where clients find DIR")
    add("--from", dest="packages", type=Path, metavar="PACKAGES", help="where build has put packages")
    add("--valid-days", type=int, default=30, metavar="N", help="apt takes what is older for outdated (default 30)")
    return grammar


def _deb(given: argparse.Namespace, found: Facts, origin: Origin, signer: SigningKey, out: Output) -> None:
    packages = sorted((given.packages / "deb").glob("*.deb")) if given.packages else []
    with workshop.scratch("keyring") as scratch:
        if packages:
            packages += repositories.build_deb(found, origin, scratch, out)
        if packages or (given.directory / "apt/pool").exists():
            added = apt.publish(given.directory / "apt", packages, signer, given.valid_days)
            out.line(f"apt: {len(added)} new packages; signed")


def _rpm(
    given: argparse.Namespace, target: RpmTarget, found: Facts, origin: Origin, signer: SigningKey, out: Output
) -> None:
    packages = sorted((given.packages / "rpm" / target.key).glob("*.rpm")) if given.packages else []
    place = given.directory / "yum" / target.key
    with workshop.scratch("release") as scratch:
        if packages:
            packages += repositories.build_rpm(found, origin, target, scratch, out)
        if packages or (place / "packages").exists():
            added = yum.publish(place, packages, signer)
            out.line(f"yum/{target.key}: {len(added)} new packages; signed")


class _Quiet(Output):
    """Packages made on the way are in a directory that vanishes."""

    def line(self, text: str = "") -> None:
        """Says only what is no path in there."""
        if not text.startswith("/"):
            super().line(text)


def publish(words: Sequence[str]) -> ExitCode:
    """hotcopy-install publish. InstallError."""
    given = parser().parse_args(words)
    if given.valid_days < 1:
        raise UsageError("--valid-days takes at least 1", "hotcopy-install publish --help shows what there is")
    if given.packages and not any((given.packages / kind).is_dir() for kind in ("deb", "rpm")):
        raise InstallError(f"{given.packages} has neither deb nor rpm", f"hotcopy-install build {given.packages}")
    workshop.need({"gpg": "gnupg"})
    signer = key.find(given.key)
    origin = Origin(given.url.rstrip("/"), signer.armoured, signer.binary)
    found, out = project.read(), _Quiet()
    given.directory.mkdir(parents=True, exist_ok=True)
    given.directory = given.directory.resolve()
    clients.write(given.directory, found, origin, signer.fingerprint)
    _deb(given, found, origin, signer, out)
    for target in TARGETS:
        _rpm(given, target, found, origin, signer, out)
    return ExitCode.DONE
