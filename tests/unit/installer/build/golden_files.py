# SPDX-License-Identifier: GPL-2.0-or-later
"""What the templates make of today's project, by the names of the golden files.

``python -m tests.unit.installer.build.golden_files`` writes them anew; look at the difference before it is committed.
"""

from __future__ import annotations

import functools
from pathlib import Path

from installer.build import deb, facts, rpm
from installer.build.targets import TARGETS

PLACE = Path(__file__).with_name("golden")
_LENGTHY = ("copyright", "lintian-overrides")  # in debian/: they say the same whatever happens


@functools.cache
def rendered() -> dict[str, str]:
    """Every file by its name."""
    found = facts.read()
    files = {}
    for file in deb.debian_directory(found):
        if not file.path.endswith((*_LENGTHY, ".service", ".udev", ".dkms")):
            files[f"debian-{file.path}"] = file.data.decode()
    for target in TARGETS:
        files[f"{target.key}.spec"] = rpm.spec(found, target)
        files[f"{target.key}.macros"] = rpm.macros(target)
    return files


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    for old in PLACE.iterdir():
        old.unlink()
    for name, text in rendered().items():
        (PLACE / name).write_text(text, encoding="utf-8")
