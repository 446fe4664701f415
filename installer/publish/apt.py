# SPDX-License-Identifier: GPL-2.0-or-later
"""A flat repository for apt: pool/, Packages, InRelease; by-hash, so that a client never sees half an update."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from installer.build import workshop
from installer.publish import pool
from installer.publish.key import SigningKey

TOOLS = {"apt-ftparchive": "apt-utils", "gpg": "gnupg"}
_DAY = 24 * 3600
_KEPT = 7 * _DAY  # seconds for which clients may still ask for an older index


def _index(place: Path, cache: Path) -> None:
    """Packages and its compressed forms, by name and by hash."""
    text = workshop.run(["apt-ftparchive", f"--db={cache}", "packages", "pool"], cwd=place).encode()
    by_hash = place / "by-hash/SHA256"
    by_hash.mkdir(parents=True, exist_ok=True)
    for outgoing in place.glob("Packages*"):  # clients read the Release that names it until now: its time begins here
        pool.touch(by_hash / hashlib.sha256(outgoing.read_bytes()).hexdigest())
    for old in by_hash.iterdir():
        if old.stat().st_mtime < time.time() - _KEPT:
            old.unlink()
    for suffix, data in (("", text), (".gz", gzip.compress(text, mtime=0)), (".xz", lzma.compress(text))):
        (by_hash / hashlib.sha256(data).hexdigest()).write_bytes(data)
        new = place / f".Packages{suffix}.new"
        new.write_bytes(data)
        new.replace(place / f"Packages{suffix}")


def _release(place: Path, key: SigningKey, valid_days: int) -> None:
    fields = {
        "Origin": "Hot Copy",
        "Label": "Hot Copy",
        "Suite": "stable",
        "Architectures": "amd64 all",
        "Description": "Packages of Hot Copy",
        "Acquire-By-Hash": "yes",
        "ValidTime": str(valid_days * _DAY),
        "MD5": "false",
        "SHA1": "false",
        "SHA512": "false",  # by-hash has one kind only
    }
    options = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    with workshop.scratch("apt") as scratch:  # where an older Release is not listed in the new one
        for path in place.glob("Packages*"):
            shutil.copy(path, scratch)
        text = workshop.run(["apt-ftparchive", *options, "release", "."], cwd=scratch)
    new = {name: place / f".{name}.new" for name in ("Release", "Release.gpg", "InRelease")}
    new["Release"].write_text(text, encoding="utf-8")
    key.detach_sign(new["Release"], new["Release.gpg"])
    key.clear_sign(new["Release"], new["InRelease"])
    for name, path in new.items():
        path.replace(place / name)


def publish(place: Path, packages: Iterable[Path], key: SigningKey, valid_days: int) -> tuple[Path, ...]:
    """Adds packages to the repository and signs it again; returns those that are new. InstallError."""
    workshop.need(TOOLS)
    added = pool.add(packages, place / "pool")
    _index(place, place.parent / ".cache-apt.db")
    _release(place, key, valid_days)
    return added
