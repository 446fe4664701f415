# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository for dnf, yum and zypper: signed packages, and a signature on repomd.xml."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from installer.build import workshop
from installer.errors import InstallError
from installer.publish import pool
from installer.publish.key import SigningKey

_ENTRY, _SIGNATURE = "repomd.xml", "repomd.xml.asc"
TOOLS = {"rpmsign": "rpm", "createrepo_c": "createrepo-c", "gpg": "gnupg"}


def _identity(package: Path) -> str:
    """What signing does not change: the digests of header and payload."""
    return workshop.run(["rpm", "-qp", "--nosignature", "--qf", "%{SHA256HEADER} %{PAYLOADDIGEST}", package])


def _sign(packages: Iterable[Path], key: SigningKey) -> None:
    gpg = shutil.which("gpg")
    home = os.environ.get("GNUPGHOME") or Path.home() / ".gnupg"
    workshop.run(
        [
            *("rpmsign", "--addsign", "--define", f"_gpg_name {key.fingerprint}", "--define", f"__gpg {gpg}"),
            *("--define", f"_gpg_path {home}"),
            *("--define", "_gpg_digest_algo sha256"),
            *packages,
        ]
    )


def _replace(fresh: Path, published: Path) -> None:
    """Lists first, whose names have their checksums; then entry and signature, renamed one right after the other."""
    pool.add((path for path in fresh.iterdir() if path.name not in (_ENTRY, _SIGNATURE)), published)
    for name in (_ENTRY, _SIGNATURE):
        new = published / f".{name}.new"
        shutil.copyfile(fresh / name, new)
        new.chmod(0o644)
    for name in (_ENTRY, _SIGNATURE):
        (published / f".{name}.new").replace(published / name)
    for path in published.iterdir():
        if not (fresh / path.name).exists():
            path.unlink()


def publish(place: Path, packages: Iterable[Path], key: SigningKey) -> tuple[Path, ...]:
    """Adds packages to the repository of one target and signs it again; returns those that are new. InstallError."""
    workshop.need(TOOLS)
    with workshop.scratch("sign") as scratch:
        # Signed first, so that nobody ever sees them without.
        fresh = []
        for package in sorted(packages):
            published = place / "packages" / package.name
            if not published.exists():
                fresh.append(Path(shutil.copy(package, scratch)))
            elif _identity(package) != _identity(published):
                raise InstallError(
                    f"{published} is published already, with other contents", "raise the version, and build again"
                )
        if fresh:
            _sign(fresh, key)
        added = pool.add(fresh, place / "packages")
    published, entry = place / "repodata", place / "repodata" / _ENTRY
    if entry.exists():
        # What is kept for 7 days is kept from now on: until now clients read the lists that this one names.
        for name in re.findall(r'href="(repodata/[^"]+)"', entry.read_text(encoding="utf-8")):
            pool.touch(place / name)
    with workshop.scratch("repodata") as scratch:
        if published.is_dir():
            shutil.copytree(published, scratch / "repodata", ignore=shutil.ignore_patterns(".*"))
        workshop.run(
            [
                *("createrepo_c", "--quiet", "--update", "--retain-old-md-by-age=7d", "--checksum=sha256"),
                *("--general-compress-type=gz", "--no-database", "--outputdir", scratch, place),
            ]
        )
        key.detach_sign(scratch / "repodata" / _ENTRY, scratch / "repodata" / _SIGNATURE)
        _replace(scratch / "repodata", published)
    return added
