# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to a driver that an upgrade has replaced; with real ones: tests/driver/test_packages.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotcopy import __version__, attach
from hotcopy.run import Done

UNLOAD = ("modprobe", "-r", "hcpdriver")


@pytest.mark.parametrize(
    ("loaded", "installed", "unloaded"),
    [
        (None, __version__, False),  # none is loaded
        (__version__, __version__, False),
        ("0.0.9", __version__, True),
        ("0.0.9", "0.0.9", False),  # unloading it would only bring it back
        ("0.0.9", "", False),  # there is no other
    ],
)
def test_another_version_is_unloaded_when_ours_is_installed(
    loaded: str | None, installed: str, unloaded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "version"
    if loaded:
        file.write_text(f"{loaded}\n", encoding="ascii")
    calls = []

    def run(*argv: str, timeout: float | None = None) -> Done:
        calls.append(argv)
        return Done(0 if installed else 1, f"{installed}\n" if argv[0] == "modinfo" else "", "")

    monkeypatch.setattr(attach, "_VERSION_FILE", str(file))
    monkeypatch.setattr(attach, "run", run)
    attach._let_go_of_another_version()
    assert (UNLOAD in calls) is unloaded
    assert not (loaded == __version__ and calls)  # the usual case costs no program
