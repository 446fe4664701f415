# SPDX-License-Identifier: GPL-2.0-or-later
"""How block devices are built on each other, as /sys tells: partitions, device mapper, RAID, loop devices."""

from __future__ import annotations

import os

from hotcopy.devid import DevId
from hotcopy.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LARGEST = 1 << 16  # bytes: an attribute has a page at most, which is 64 KiB on some machines


class Sysfs(NamedTuple):
    """/sys; another root is for tests. What cannot be read is not there: devices come and go."""

    root: str = "/sys"

    def _top(self, dev: DevId) -> str:
        directory = f"{self.root}/dev/block"
        try:
            # The one link on the way: realpath() would look at each directory below /sys/devices.
            return os.path.normpath(os.path.join(directory, os.readlink(f"{directory}/{dev}")))
        except OSError:
            return f"{directory}/{dev}"

    @staticmethod
    def _read(path: str) -> str:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            return os.fsdecode(os.read(fd, _LARGEST)).rstrip("\n")
        except OSError:
            return ""
        finally:
            os.close(fd)

    @staticmethod
    def _names(directory: str) -> list[str]:
        try:
            return sorted(os.listdir(directory))
        except OSError:
            return []

    def _dev(self, directory: str) -> DevId | None:
        try:
            return DevId.parse(self._read(f"{directory}/dev"))
        except ValueError:
            return None  # not there, or not a block device

    def _devs(self, directories: Iterable[str]) -> tuple[DevId, ...]:
        return tuple(dev for dev in (self._dev(directory) for directory in directories) if dev is not None)

    def name(self, dev: DevId) -> str:
        """The kernel's name: ``sda1``, ``dm-0``; "" when there is no such device."""
        top = self._top(dev)
        return os.path.basename(top) if os.path.isdir(top) else ""

    def dm_name(self, dev: DevId) -> str:
        """``vg-root``; "" when it is not a device-mapper device."""
        return self._read(f"{self._top(dev)}/dm/name")

    def is_multipath(self, dev: DevId) -> bool:
        """Whether this is the device-mapper device of a disk that is reached by several paths."""
        return self._read(f"{self._top(dev)}/dm/uuid").startswith("mpath-")

    def mends_by_discards(self, dev: DevId) -> bool:
        """Whether this is an MD array that relies on discarded blocks being alike on all of its members."""
        trusts = self._read(f"{self.root}/module/raid456/parameters/devices_handle_discard_safely")
        return trusts == "Y" and self._read(f"{self._top(dev)}/md/level") in ("raid4", "raid5", "raid6")

    def by_name(self, name: str) -> DevId | None:
        """The device the kernel calls ``name``."""
        return self._dev(f"{self.root}/class/block/{name}")

    def disk(self, dev: DevId) -> DevId:
        """The whole disk that a partition is on; the device itself when it is none."""
        top = self._top(dev)
        if not os.path.exists(f"{top}/partition"):
            return dev
        return self._dev(os.path.dirname(top)) or dev

    def partitions(self, dev: DevId) -> tuple[DevId, ...]:
        """The partitions of a disk."""
        top = self._top(dev)
        disk = os.path.basename(top)  # its name comes first in theirs (block/partitions/core.c): few others need a look
        names = [name for name in self._names(top) if name.startswith(disk)]
        return self._devs(f"{top}/{name}" for name in names if os.path.exists(f"{top}/{name}/partition"))

    def holders(self, dev: DevId) -> tuple[DevId, ...]:
        """The devices built on this one (LVM, RAID, encryption)."""
        top = f"{self._top(dev)}/holders"
        return self._devs(f"{top}/{name}" for name in self._names(top))

    def slaves(self, dev: DevId) -> tuple[DevId, ...]:
        """The devices this one is built on."""
        top = f"{self._top(dev)}/slaves"
        return self._devs(f"{top}/{name}" for name in self._names(top))

    def loops(self) -> Mapping[DevId, str]:
        """Every loop device in use, and the file it shows."""
        found: dict[DevId, str] = {}
        top = f"{self.root}/block"
        for name in self._names(top):
            backing = self._read(f"{top}/{name}/loop/backing_file") if name.startswith("loop") else ""
            dev = self._dev(f"{top}/{name}") if backing else None
            if dev is not None:
                found[dev] = backing
        return found

    def backing_file(self, dev: DevId) -> str:
        """The file a loop device shows; "" for any other device."""
        return self._read(f"{self._top(dev)}/loop/backing_file")

    def is_zoned(self, dev: DevId) -> bool:
        """Whether the disk wants to be written in zones."""
        return self._read(f"{self._top(self.disk(dev))}/queue/zoned") not in ("", "none")

    def is_read_only(self, dev: DevId) -> bool:
        """Whether the device refuses writes."""
        return self._read(f"{self._top(dev)}/ro") == "1"


def node(name: str) -> str:
    """The node of a device by the kernel's name, in which ``!`` stands for a slash."""
    return "/dev/" + name.replace("!", "/")
