# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page of a repository says to type."""

from __future__ import annotations

import html
import subprocess

import pytest

from installer.build import facts
from installer.build.repositories import Origin
from installer.build.targets import RpmTarget, by_key
from installer.detect.kernel import Kernel
from installer.families import packager
from installer.matrix.identity import identify
from installer.publish.clients import page

RELEASES = (
    ("el9", "5.14.0-570.12.1.el9_6.x86_64"),
    ("fedora", "6.17.4-200.fc43.x86_64"),
    ("amazon", "6.1.115-126.197.amzn2023.x86_64"),
    ("amazon", "6.12.40-64.114.amzn2023.x86_64"),
    ("amazon", "6.18.8-9.213.amzn2023.x86_64"),
)


@pytest.mark.parametrize(("key", "release"), RELEASES)
def test_headers_are_those_that_the_installer_takes(key: str, release: str) -> None:
    """The page's line, by a shell whose uname says so."""
    target = by_key(key)
    (line,) = (
        line
        for line in section(target).splitlines()
        if line.startswith("dnf install ") and line.endswith(" hotcopy hotcopy-release")
    )
    script = f"uname() {{ echo {release}; }}; echo {line}"
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    (headers,) = packager(target.family).headers(Kernel(identify(release, ""), ""))
    assert said == f"dnf install {headers} hotcopy hotcopy-release\n"


def section(target: RpmTarget) -> str:
    """Of the page, for this target."""
    text = html.unescape(page(facts.read(), Origin("https://example.org", b"", b""), "AB" * 20))
    return text.partition(f"<h2>{target.title}</h2>")[2].partition("<h2>")[0]
