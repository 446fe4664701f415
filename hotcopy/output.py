# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard output that cannot break what hcp does: a closed pipe or a full disk never stops a hot copy half-way."""

from __future__ import annotations

import errno
import os

from hotcopy import context

_STDOUT = 1
_STDERR = 2


def secure_descriptors() -> None:
    """Fills closed descriptors 0 to 2 with /dev/null, so that no device opened later is taken for the output."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > _STDERR:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


class Output:
    """Lines to standard output, each written at once. ``failed`` is set when one was lost (not for a closed pipe)."""

    def __init__(self) -> None:
        self.failed = False
        self._broken = False

    @property
    def is_lost(self) -> bool:
        """Nobody reads any more: there is no point in writing more."""
        return self._broken

    def line(self, text: str = "") -> None:
        """Writes one line; failures are noted, never raised."""
        self.data(os.fsencode(text) + b"\n")

    def data(self, data: bytes) -> None:
        """Writes these bytes; failures are noted, never raised."""
        while data and not self._broken:
            try:
                data = data[os.write(_STDOUT, data) :]
            except OSError as error:
                self._broken = True
                self.failed = error.errno != errno.EPIPE


class Silent(Output):
    """Says nothing."""

    def line(self, text: str = "") -> None:
        """Drops the line."""


def complain(text: str) -> None:
    """Writes one line to standard error, if there is one."""
    with context.suppress(OSError):  # nobody is listening; the exit status says it too
        os.write(_STDERR, os.fsencode(text) + b"\n")
