# SPDX-License-Identifier: GPL-2.0-or-later
"""The filesystems."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, refuse, warn
from installer.context import Context
from installer.detect.mounts import Filesystem
from installer.exitcodes import ExitCode

_IN_PLACE = frozenset(("ext2", "ext3", "ext4", "xfs", "vfat"))
_BUILD_MIB = 300  # compiler and headers


def usr(context: Context) -> Iterator[Finding]:
    """Whether programs can be installed at all."""
    mounts = context.system.mounts
    if mounts.image_based:
        yield refuse(
            "HC-USR",
            "this system is an image whose /usr is not changed in place (OSTree, transactional-update)",
            "build the driver into the image; this installer cannot",
        )
    elif not mounts.usr_writable:
        remedy = "mount -o remount,rw /usr, and run this again"
        yield refuse("HC-USR", "/usr is mounted read-only", remedy, code=ExitCode.READ_ONLY)
    else:
        yield ok("HC-USR", "/usr is writable")


def room(context: Context) -> Iterator[Finding]:
    """Space for the compiler, the headers and the build."""
    held = {found.place: found for found in context.system.mounts.filesystems}
    found = held.get("/usr") or held.get("/")
    if found is None or found.space is None:
        yield ok("HC-ROOM", "how much space there is for the installation cannot be seen")
    elif found.space.free < _BUILD_MIB << 20:
        yield warn(
            "HC-ROOM",
            f"{found.place} has {found.space.free >> 20} MiB free; compiler, headers and build may take {_BUILD_MIB} MiB",
            "free some space first",
        )
    else:
        yield ok("HC-ROOM", f"{found.place} has {found.space.free >> 20} MiB free")


def _percent(found: Filesystem) -> int:
    space = found.space
    return space.free * 100 // space.size if space and space.size else 100


def changed_blocks(context: Context) -> Iterator[Finding]:
    """Space for changed blocks, which hot copies take from the filesystem itself."""
    wanted = context.matrix.requirements.free_space_percent
    own = [found for found in context.system.mounts.filesystems if found.fstype in _IN_PLACE and found.writable]
    scarce = [found for found in own if _percent(found) < wanted]
    if scarce:
        listed = ", ".join(f"{found.place} ({_percent(found)} % free)" for found in scarce)
        yield warn(
            "HC-SPACE",
            f"little free space for changed blocks: {listed}; {wanted} % are asked for",
            "keep changed blocks elsewhere (hcp -c), or free some space",
        )
    elif own:
        yield ok("HC-SPACE", f"at least {wanted} % are free on {', '.join(found.place for found in own)}")


def filesystems(context: Context) -> Iterator[Finding]:
    """Which filesystems can keep changed blocks in themselves."""
    mounted = context.system.mounts.filesystems
    own = sorted({found.fstype for found in mounted if found.fstype in _IN_PLACE})
    foreign = sorted({found.fstype for found in mounted if found.fstype not in _IN_PLACE} - {"squashfs", "iso9660"})
    if foreign:
        yield warn(
            "HC-FILESYSTEMS",
            f"filesystems that cannot keep changed blocks in themselves: {', '.join(foreign)}",
            "give hcp another place for them: hcp -c WHERE DEVICE",
        )
    elif own:
        yield ok("HC-FILESYSTEMS", f"hot copies of {', '.join(own)} keep changed blocks in the filesystem itself")
