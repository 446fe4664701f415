# SPDX-License-Identifier: GPL-2.0-or-later
"""What clients are given: the key, a source for apt, a .repo for each target, and a page that says what to type."""

from __future__ import annotations

from pathlib import Path

import jinja2

from installer import payload
from installer.build import repositories
from installer.build.facts import Facts
from installer.build.repositories import Origin
from installer.build.targets import TARGETS

KEYRING = "hotcopy-archive-keyring.gpg"
KEY = "hotcopy.asc"


def page(facts: Facts, origin: Origin, fingerprint: str) -> str:
    """index.html."""
    template = payload.bundle().joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    grouped = " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))
    return environment.from_string(template).render(
        version=facts.version, url=origin.url, fingerprint=grouped, targets=TARGETS, keyring=KEYRING, key=KEY
    )


def write(place: Path, facts: Facts, origin: Origin, fingerprint: str) -> None:
    """Writes them; the same as in hotcopy-archive-keyring and hotcopy-release, so that those replace them in silence."""
    (place / KEYRING).write_bytes(origin.binary)
    (place / KEY).write_bytes(origin.armoured)
    (place / "apt").mkdir(parents=True, exist_ok=True)
    (place / "apt/hotcopy.sources").write_text(repositories.sources(origin), encoding="utf-8")
    for target in TARGETS:
        (place / f"yum/{target.key}").mkdir(parents=True, exist_ok=True)
        (place / f"yum/{target.key}/hotcopy.repo").write_text(repositories.repo(origin, target), encoding="utf-8")
    (place / "index.html").write_text(page(facts, origin, fingerprint), encoding="utf-8")
