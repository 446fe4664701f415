# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way hcp runs another program."""

from __future__ import annotations

import os

from hotcopy.errors import HcpError
from hotcopy.light import NamedTuple

# cron's PATH has no sbin, where modprobe and, on some systems, mount helpers are.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")


class Done(NamedTuple):
    """How a program ended: its status and its two outputs, each stripped."""

    status: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What it had to say about a failure."""
        return self.err or self.out or f"exit status {self.status}"


def search_path() -> str:
    """Where programs are looked for."""
    return ":".join(part for part in (os.environ.get("PATH", ""), _SBIN) if part)


def environment() -> dict[str, str]:
    """Ours, in English, with sbin, and as if no make had called us.

    DKMS 3.0 (Debian 12) asks a make for the compiler's name, and takes what that says of directories for it when another
    make is above: within make install no driver was built.
    """
    variables = {**os.environ, "LC_ALL": "C", "PATH": search_path()}
    for name in _OF_MAKE:
        variables.pop(name, None)
    return variables


def run(*argv: str, timeout: float | None = None) -> Done:
    """Runs ``argv`` without a shell, in English, without standard input or foreign descriptors.

    Raises HcpError when the program is missing or takes longer than ``timeout`` seconds; a status other than 0
    is for the caller to judge.
    """
    import subprocess  # a hot copy that is not mounted needs none of it

    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise HcpError(f"the program {argv[0]} is missing", "install it (package util-linux or kmod)") from error
    except subprocess.TimeoutExpired as error:
        raise HcpError(f"{argv[0]} did not finish in {timeout:.0f} seconds") from error
    return Done(done.returncode, os.fsdecode(done.stdout).strip(), os.fsdecode(done.stderr).strip())
