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
    metadata = place / "repodata/repomd.xml"
    if metadata.exists():
        # What is kept for 7 days is kept from now on: until now clients read the lists that this one names.
        for name in re.findall(r'href="(repodata/[^"]+)"', metadata.read_text(encoding="utf-8")):
            pool.touch(place / name)
    workshop.run(
        [
            *("createrepo_c", "--quiet", "--update", "--retain-old-md-by-age=7d", "--checksum=sha256"),
            *("--general-compress-type=gz", "--no-database", place),
        ]
    )
    signature = metadata.with_name(".repomd.xml.asc.new")
    key.detach_sign(metadata, signature)
    signature.replace(metadata.with_name("repomd.xml.asc"))
    return added
