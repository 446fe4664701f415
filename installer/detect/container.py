# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this is a container, whose kernel belongs to somebody else; by the names systemd-detect-virt uses."""

from __future__ import annotations

import re
from pathlib import Path

from installer.detect import files

_CGROUP = re.compile(r"[/:](docker|lxc|kubepods|libpod|machine\.slice/libpod|containerd)\b")
_BY_CGROUP = {"docker": "docker", "lxc": "lxc", "libpod": "podman", "machine.slice/libpod": "podman"}


def detect(root: Path) -> str:
    """The kind of container; "none" outside of one."""
    if files.exists(root, "proc/vz") and not files.exists(root, "proc/bc"):  # proc/bc is the host's
        return "openvz"
    if files.exists(root, "run/.containerenv"):
        return "podman"
    if files.exists(root, ".dockerenv"):
        return "docker"
    named = files.text(root, "run/systemd/container")
    if not named:
        variables = (files.data(root, "proc/1/environ") or b"").split(b"\0")
        named = next((item[10:].decode("ascii", "replace") for item in variables if item.startswith(b"container=")), "")
    if named:
        return named
    match = _CGROUP.search(files.text(root, "proc/1/cgroup"))
    return _BY_CGROUP.get(match[1], "container-other") if match else "none"
