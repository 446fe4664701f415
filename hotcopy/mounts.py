# SPDX-License-Identifier: GPL-2.0-or-later
"""What is mounted where, from /proc/self/mountinfo (proc(5))."""

from __future__ import annotations

import os

from hotcopy.devid import DevId
from hotcopy.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

NETWORK_TYPES = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "ceph",
        "afs",
        "coda",
        "ncpfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "glusterfs",
        "lustre",
    ]
)


def _after_backslash(part: bytes) -> bytes:
    digits = part[:3]
    if len(digits) == 3 and all(digit in b"01234567" for digit in digits):
        return bytes([int(digits, 8) & 0xFF]) + part[3:]
    return b"\\" + part


def unescape(text: str) -> str:
    """Undoes the kernel's octal escapes, three digits after a backslash."""
    if "\\" not in text:
        return text
    first, *others = os.fsencode(text).split(b"\\")
    return os.fsdecode(first + b"".join(map(_after_backslash, others)))


def escape(path: str) -> str:
    """One word for a path, as the kernel writes it: white space and backslashes as octal escapes."""
    return "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\" else letter for letter in path)


class Mount(NamedTuple):
    """One mount: ``root`` is the directory of the filesystem that is seen at ``mount_point``."""

    dev: DevId
    root: str
    mount_point: str
    options: tuple[str, ...]
    fstype: str
    source: str
    super_options: tuple[str, ...]

    @property
    def writable(self) -> bool:
        """Neither this mount nor its filesystem is read-only."""
        return "ro" not in self.options and "ro" not in self.super_options


def parse_line(line: str) -> Mount:
    """One line of mountinfo. ValueError when it is not one."""
    before, separator, after = line.rstrip("\n").partition(" - ")
    left = before.split(" ")
    right = after.split(" ")
    if not separator or len(left) < 6 or len(right) < 3:
        raise ValueError(f"not a line of mountinfo: {line!r}")
    return Mount(
        dev=DevId.parse(left[2]),
        root=unescape(left[3]),
        mount_point=unescape(left[4]),
        options=tuple(left[5].split(",")),
        fstype=unescape(right[0]),
        source=unescape(right[1]),
        super_options=tuple(right[2].split(",")),
    )


def parse(text: str) -> tuple[Mount, ...]:
    """Every mount of a mountinfo text, in its order (later mounts cover earlier ones). ValueError."""
    return tuple(parse_line(line) for line in text.split("\n") if line)


def read() -> tuple[Mount, ...]:
    """The mounts this process sees. OSError when /proc is not there."""
    with open("/proc/self/mountinfo", "rb") as file:
        return parse(os.fsdecode(file.read()))


def of_device(mounts: Iterable[Mount], dev: DevId) -> tuple[Mount, ...]:
    """The mounts of filesystems that sit directly on ``dev``."""
    return tuple(mount for mount in mounts if mount.dev == dev)


def of_source(mounts: Iterable[Mount], dev: DevId) -> tuple[Mount, ...]:
    """The mounts whose source is ``dev`` though their own number is not (btrfs: anonymous device numbers)."""
    found = []
    for mount in mounts:
        if mount.dev != dev and mount.source.startswith("/"):
            try:
                status = os.stat(mount.source)
            except OSError:
                continue
            if status.st_rdev and DevId.of(status.st_rdev) == dev:
                found.append(mount)
    return tuple(found)


def whole_and_writable(mounts: Iterable[Mount]) -> Mount | None:
    """The first mount that shows its whole filesystem, is writable, and is not covered by a later mount."""
    for mount in mounts:
        if mount.root == "/" and mount.writable:
            try:
                covered = DevId.of(os.stat(mount.mount_point).st_dev) != mount.dev
            except OSError:
                continue
            if not covered:
                return mount
    return None


def at(mounts: Iterable[Mount], directory: str) -> Mount | None:
    """The topmost mount on exactly this directory (an absolute path without links)."""
    found = None
    for mount in mounts:
        if mount.mount_point == directory:
            found = mount
    return found
