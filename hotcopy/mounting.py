# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounting and unmounting a hot copy, and the directories for it."""

from __future__ import annotations

import os
import stat

from hotcopy import context, libc
from hotcopy import mounts as mount_table
from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.mounts import Mount
from hotcopy.run import Done, run

if TYPE_CHECKING:
    from collections.abc import Iterable

_WITHOUT_JOURNAL = {"ext3": "noload", "ext4": "noload", "xfs": "norecovery", "f2fs": "norecovery"}
DEFAULT_PARENT = "/var/hotcopy"


class MountPoint(NamedTuple):
    """A directory to mount on, absolute; ``made`` are the directories hcp had to make for it, outermost first."""

    path: str
    made: tuple[str, ...]

    def undo(self) -> None:
        """Removes the directories that were made for it, as far as they are empty."""
        for directory in reversed(self.made):
            try:
                os.rmdir(directory)
            except OSError:
                return  # in use by somebody by now


def default_path(label: str, name: str) -> str:
    """``/var/hotcopy/sda1_hcp1``."""
    return os.path.join(DEFAULT_PARENT, f"{label}_{name}")


def remove_default(name: str) -> None:
    """Removes the directory hcp chose itself for the hot copy ``name``, if nothing is in it.

    Found by its name, not by a mount: an earlier removal may have got no further than unmounting.
    """
    try:
        entries = os.listdir(DEFAULT_PARENT)
    except OSError:
        return
    for entry in entries:
        if entry.endswith(f"_{name}"):
            with context.suppress(OSError):  # not empty: the user keeps something there
                os.rmdir(os.path.join(DEFAULT_PARENT, entry))


def prepare(path: str) -> MountPoint:
    """Makes the directory (and its parents) if it is not there. HcpError; nothing is left then."""
    real = os.path.realpath(path)
    made: list[str] = []
    missing: list[str] = []
    step = real
    while not os.path.lexists(step):
        missing.append(step)
        step = os.path.dirname(step)
    try:
        for directory in reversed(missing):
            os.mkdir(directory, 0o755)
            made.append(directory)
        if not stat.S_ISDIR(os.stat(real).st_mode):
            raise HcpError(f"the mount point {path} is not a directory", "give a directory with -m, or --skip-mount")
    except OSError as error:
        MountPoint(real, tuple(made)).undo()
        raise HcpError(
            f"cannot make the mount point {path}: {error.strerror}", "give another with -m, or --skip-mount"
        ) from error
    return MountPoint(real, tuple(made))


def refuse_occupied(path: str, mounts: Iterable[Mount], taken: Iterable[DevId]) -> None:
    """Refuses a mount point where the origin or a hot copy (``taken``) is mounted already. HcpError."""
    mount = mount_table.at(mounts, os.path.realpath(path))
    if mount is not None and mount.dev in tuple(taken):
        raise HcpError(f"{mount.source} is mounted on {path} already", "give another directory with -m")


def _options(fstype: str, replay: bool) -> list[str]:
    options = []
    if fstype == "xfs":
        options.append("nouuid")  # its uuid is the origin's, which is mounted
    if not replay:
        options.append(_WITHOUT_JOURNAL[fstype])
    return options


def _try(node: str, fstype: str, path: str, read_only: bool, replay: bool) -> Done:
    options = _options(fstype, replay)
    if fstype == "fuseblk":  # that is no type for mount: it finds the right one
        return run("mount", "-o", ",".join(["ro" if read_only else "rw", *options]), node, path)
    try:
        # mount(8) adds nothing that these need, and takes as long as the snapshot.
        libc.mount(node, path, fstype, libc.MS_RDONLY if read_only else 0, ",".join(options))
    except OSError:
        # It knows more of why not, and may know a way.
        return run("mount", "-t", fstype, "-o", ",".join(["ro" if read_only else "rw", *options]), node, path)
    return Done(0, "", "")


def mount(node: str, fstype: str, path: str, read_only: bool) -> str | None:
    """Mounts the hot copy. Returns a remark for the user when the journal was left alone, else None.

    A freeze leaves ext4 with an empty journal, so it mounts read-only as it is; but XFS marks its log dirty on
    purpose when frozen (xfs_fs_freeze, after all metadata is in place), which a read-only device cannot clear:
    norecovery from the start, and nothing is missing. HcpError carries mount's own message.
    """
    replay = not (read_only and fstype == "xfs")
    done = _try(node, fstype, path, read_only, replay)
    if done.status == 0:
        return None
    if read_only and replay and fstype in _WITHOUT_JOURNAL and _try(node, fstype, path, read_only, False).status == 0:
        option = _WITHOUT_JOURNAL[fstype]
        return f"The journal of the hot copy could not be replayed read-only: mounted without it ({option})."
    raise HcpError(f"cannot mount {node} on {path}: {done.message}", "look for the cause in the kernel log (dmesg)")


def mounted_at(dev: DevId, mounts: Iterable[Mount]) -> tuple[str, ...]:
    """Where a device is mounted, in the order of mounting."""
    return tuple(mount.mount_point for mount in mount_table.of_device(mounts, dev))


def unmount_all(dev: DevId, what: str) -> None:
    """Unmounts the device everywhere this process sees it mounted, the last mount first.

    HcpError names who keeps it busy.
    """
    places = mounted_at(dev, mount_table.read())
    for place in reversed(places):
        done = run("umount", place)
        if done.status != 0 and place in mounted_at(dev, mount_table.read()):
            from hotcopy import holders

            busy = holders.of(dev)
            if busy:
                raise HcpError(f"{what} is in use at {place} by {busy}", "end them and try again")
            raise HcpError(
                f"cannot unmount {place}: {done.message}", "unmount what is mounted below it, then try again"
            )
