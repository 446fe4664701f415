# SPDX-License-Identifier: GPL-2.0-or-later
"""The number of a block device, as the kernel, stat and mountinfo all give it."""

from __future__ import annotations

import os

from hotcopy.light import NamedTuple


class DevId(NamedTuple):
    """Major and minor number."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}:{self.minor}"

    @classmethod
    def parse(cls, text: str) -> DevId:
        """From ``MAJOR:MINOR``. ValueError."""
        major, minor = text.split(":")
        return cls(int(major), int(minor))

    @classmethod
    def of(cls, dev: int) -> DevId:
        """From ``st_dev`` or ``st_rdev``."""
        return cls(os.major(dev), os.minor(dev))

    @property
    def dev(self) -> int:
        """As ``os.mknod`` wants it."""
        return os.makedev(self.major, self.minor)
