# SPDX-License-Identifier: GPL-2.0-or-later
"""What hotcopy-install says when it cannot go on."""

from __future__ import annotations

from hotcopy.errors import HcpError
from installer.exitcodes import ExitCode


class InstallError(HcpError):
    """A cause, a remedy, and the exit status that tells them apart."""

    def __init__(self, cause: str, remedy: str = "", code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(cause, remedy)
        self.code = code
