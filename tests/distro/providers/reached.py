"""A guest as tests see it, whatever provides it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.distro.cells import Row
from tests.driver.bench.run import Arg, CommandError, run

# One connection for all commands: emulated, a new one takes a second.
SHARED = """
Host *
  ControlMaster auto
  ControlPersist 60
  ControlPath {directory}/%n
  ConnectTimeout 20
  ServerAliveInterval 10
  LogLevel ERROR
"""
# What package managers, systemd, Vagrant and the bench (/usr/src/hotcopy: where it compiles) keep or change; headers are many.
KEPT = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/hotcopy", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log"),
    *("/var/tmp", "/var/lib/systemd", "/var/lib/rpm", "/var/lib/dnf", "/root/.rpmdb", "/var/lib/dkms/mok.*"),
    *(
        "/usr/src/linux-*",
        "/usr/src/hotcopy",
        "/etc/machine-id",
        "/etc/lvm",
        "/lost+found",
        "*/__pycache__",
        "/var/lib/dhcp",
        "/var/lib/private",
    ),
)
LISTING = "find / -xdev \\( {} \\) -prune -o -printf '%y %m %p %l\\n' | sort".format(
    " -o ".join(f"-path '{path}'" for path in KEPT)
)


@dataclass(frozen=True)
class Reached:
    """A booted guest with the packages installed, and how to get there."""

    config: Path  # ssh -F
    host: str  # as the configuration names it
    sudo: bool  # the user is not root, and may become it
    manager: str  # apt or dnf
    driver: str  # the package that has it
    signer: str  # of the driver; empty: it is not signed, or DKMS decides
    before: Path  # LISTING as it was before anything of ours was there
    said: str  # by the package manager
    off: Callable[[], None]  # switches it off in order, and raises if the kernel has complained

    def run(self, script: str, *, timeout: float = 300, stdin: str | None = None, check: bool = True) -> str:
        """Runs a script of the shell as root, and returns all that it said."""
        return ssh(self.config, self.host, script, sudo=self.sudo, timeout=timeout, stdin=stdin, check=check)


class Provider(Protocol):
    """Makes guests."""

    def installed(self, row: Row) -> AbstractContextManager[Reached]:
        """A guest of this row, installed into and booted; it is gone at the end."""


def ssh(
    config: Path,
    host: str,
    script: str,
    *,
    sudo: bool,
    timeout: float = 300,
    stdin: str | None = None,
    check: bool = True,
) -> str:
    """Runs a script of the shell in a guest as root, and returns all that it said; CommandError."""
    words = ["sudo", "-n"] if sudo else []
    quoted = "'" + script.replace("'", "'\\''") + "'"
    argv: list[Arg] = ["ssh", "-F", config, host, *words, "/bin/sh", "-c", quoted]
    return run(argv, timeout=timeout, stdin=stdin if stdin is not None else "", check=check).stdout


def wait(config: Path, host: str, seconds: float) -> None:
    """Until somebody answers; CommandError."""
    end = time.monotonic() + seconds
    while True:
        try:
            ssh(config, host, "true", sudo=False, timeout=60)
            return
        except CommandError:
            if time.monotonic() > end:
                raise
            time.sleep(1)
