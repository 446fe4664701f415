# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way hotcopy-install runs other programs: in English, without input, with all they say in the log."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hotcopy.run import search_path
from installer import stopping
from installer.errors import InstallError
from installer.log import Log


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it said on both outputs."""

    status: int
    said: str

    @property
    def last(self) -> str:
        """Its last words."""
        lines = self.said.strip().splitlines()
        return " | ".join(line.strip() for line in lines[-3:]) or f"exit status {self.status}"


class Runner:
    """Runs programs."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def run(self, *argv: str, timeout: float, variables: Sequence[tuple[str, str]] = (), listing: bool = False) -> Done:
        """Runs one to its end; the status is for the caller to judge. InstallError when it is missing or hangs.

        A ``listing`` is not for the log.
        """
        self.log.write(f"$ {shlex.join(argv)}")
        begin = time.monotonic()
        environment = {**os.environ, "LC_ALL": "C", "PATH": search_path(), **dict(variables)}
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise InstallError(f"the program {argv[0]} is missing", "install it, and run this again") from error
        except PermissionError as error:
            raise InstallError(f"{argv[0]} cannot be run: {error.strerror}", "check its permissions") from error
        except subprocess.TimeoutExpired as error:
            raise InstallError(
                f"{argv[0]} did not finish in {timeout:.0f} seconds", "see the log, and run this again"
            ) from error
        said = done.stdout.decode("utf-8", "replace")
        self.log.write(f"({len(said.splitlines())} lines)" if listing else said.rstrip("\n"))
        self.log.write(f"= {done.returncode} after {time.monotonic() - begin:.1f} s")
        stopping.check()
        return Done(done.returncode, said)

    def must(self, *argv: str, timeout: float, variables: Sequence[tuple[str, str]] = (), listing: bool = False) -> str:
        """What it said; InstallError unless its exit status is 0."""
        done = self.run(*argv, timeout=timeout, variables=variables, listing=listing)
        if done.status != 0:
            raise InstallError(f"{shlex.join(argv)} failed: {done.last}", f"see {self.log.path}")
        return done.said
