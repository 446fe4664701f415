# SPDX-License-Identifier: GPL-2.0-or-later
"""Who keeps a hot copy busy, as far as /proc tells: a remedy for a person, never a decision."""

from __future__ import annotations

import os

from hotcopy.devid import DevId
from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_MOST = 5  # names in one message


def _names_it(path: str, dev: DevId) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return dev.dev in (status.st_dev, status.st_rdev)


def _links(process: str) -> Iterator[str]:
    for name in ("cwd", "root", "exe"):
        yield f"{process}/{name}"
    try:
        for fd in os.listdir(f"{process}/fd"):
            yield f"{process}/fd/{fd}"
    except OSError:
        return


def _namespace(process: str) -> str:
    try:
        return os.readlink(f"{process}/ns/mnt")
    except OSError:
        return ""


def _mounts_it(process: str, dev: DevId) -> bool:
    try:
        with open(f"{process}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return any(line.split(" ", 3)[2] == str(dev) for line in file)
    except (OSError, IndexError):
        return False


def _command(process: str) -> str:
    try:
        with open(f"{process}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def of(dev: DevId) -> str:
    """Return ``bash (812), rsync (907)``: who has the device or a file on it open, or mounts it; "" if nobody.

    A mount counts only in other mount namespaces, once for each (services with PrivateMounts= keep those).
    """
    found: list[str] = []
    seen = {_namespace("/proc/self"), ""}
    for pid in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        process = f"/proc/{pid}"
        namespace = _namespace(process)
        if int(pid) == os.getpid():
            continue
        if any(_names_it(link, dev) for link in _links(process)):
            found.append(f"{_command(process)} ({pid})")
        elif namespace not in seen and _mounts_it(process, dev):
            found.append(f"{_command(process)} ({pid}, mounted in its own namespace)")
        seen.add(namespace)
    if len(found) > _AT_MOST:
        found[_AT_MOST:] = [f"{len(found) - _AT_MOST} more"]
    return ", ".join(found)
