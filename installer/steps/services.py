# SPDX-License-Identifier: GPL-2.0-or-later
"""systemd and udev take notice."""

from __future__ import annotations

from installer.payload import UNITS
from installer.session import Session
from installer.steps.step import Step

_PATIENCE = 180.0


class EnableServices(Step):
    """Ends hot copies before a shutdown, gives space back after a crash, keeps links away from hot copies."""

    key = "services"
    title = "Enable the units, and make udev read the rules"

    def __init__(self, *, with_systemd: bool) -> None:
        self.with_systemd = with_systemd

    @property
    def details(self) -> tuple[str, ...]:
        """The commands."""
        return tuple(" ".join(command) for command in self._commands())

    def _commands(self) -> tuple[tuple[str, ...], ...]:
        udev = (("udevadm", "control", "--reload"),)
        if not self.with_systemd:
            return udev
        return (*udev, ("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", *UNITS))

    def run(self, session: Session) -> None:
        """Runs them."""
        if self.with_systemd:
            for unit in UNITS:
                session.journal.note("unit", name=unit)
        for command in self._commands():
            if command[0] == "udevadm":
                session.runner.run(*command, timeout=_PATIENCE)  # without a udevd there are no rules to read
            else:
                session.runner.must(*command, timeout=_PATIENCE)
