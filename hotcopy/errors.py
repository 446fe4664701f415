# SPDX-License-Identifier: GPL-2.0-or-later
"""What hcp says when it cannot do what it was asked: a cause and a remedy, on one line."""

from __future__ import annotations

import errno as errno_names


class HcpError(Exception):
    """A failure that the user is told about as ``hcp: error: <cause>; <remedy>``; exit status 1."""

    exit_status = 1

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        """Cause and remedy on exactly one line, whatever a program or a file name put into them."""
        text = f"{self.cause}; {self.remedy}" if self.remedy else self.cause
        return " ".join(text.split())


class UsageError(HcpError):
    """The command line itself is wrong; exit status 2."""

    exit_status = 2


class InterruptedByUserError(HcpError):
    """A signal asked hcp to stop, and what it had begun has been undone."""


class DriverError(HcpError):
    """The driver refused a call: ``errno`` as the ioctl gave it, ``reason`` the driver's own line (or "")."""

    def __init__(self, cause: str, errno: int, reason: str = "", remedy: str = "") -> None:
        super().__init__(cause, remedy)
        self.errno = errno
        self.reason = reason

    @property
    def errno_name(self) -> str:
        """The symbol of the errno (``EBUSY``), for a person or a log."""
        return errno_names.errorcode.get(self.errno, str(self.errno))
