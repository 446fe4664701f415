# SPDX-License-Identifier: GPL-2.0-or-later
"""What process 1 is."""

from __future__ import annotations

from pathlib import Path

from installer.detect import files


def detect(root: Path) -> str:
    """The name: "systemd", "openrc" or "sysvinit"; "unknown" otherwise (a container's own process, say)."""
    if files.exists(root, "run/systemd/system"):
        return "systemd"
    if files.exists(root, "run/openrc/softlevel"):
        return "openrc"
    return "sysvinit" if files.text(root, "proc/1/comm") == "init" else "unknown"
