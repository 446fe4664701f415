# SPDX-License-Identifier: GPL-2.0-or-later
"""What the templates make of today's project, by the names of the golden files.

``python -m tests.unit.installer.build.golden_files`` writes them anew; look at the difference before it is committed.
"""

from __future__ import annotations

import functools
from pathlib import Path

from installer.build import deb, facts, rpm, template
from installer.build.targets import TARGETS, by_key

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
    values = {**deb.values(found), "release": "6.1.0-56-amd64", "architecture": "amd64"}
    for file in template.directory("deb/modules", values):
        if not file.path.endswith(_LENGTHY):
            files[f"debian-modules-{file.path}"] = file.data.decode()
    for release, target in (
        ("5.14.0-570.12.1.el9_6.x86_64", by_key("el9")),
        ("6.4.0-150600.23-default", by_key("suse15")),
    ):
        values = {
            **rpm.values(found, target),
            "release": release,
            "module": f"/usr/lib/modules/{release}/updates/hcpdriver.ko",
        }
        files[f"{target.key}-modules.spec"] = template.file("rpm/hotcopy-modules.spec.j2", values)
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
