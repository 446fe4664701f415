# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way hotcopy-install runs other programs: in English, without input, with all they say in the log."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hotcopy.run import environment
from installer import stopping
from installer.errors import InstallError
from installer.log import Log

_TAIL = 4096  # bytes that surely hold the last line


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
    """Runs programs, one at a time."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._said = -1  # where the program that runs writes to

    def last_words(self) -> str:
        """The last line of the program that runs; "" when none runs. May be called from another thread."""
        fd = self._said
        if fd < 0:
            return ""
        try:
            data = os.pread(fd, _TAIL, max(0, os.fstat(fd).st_size - _TAIL))
        except OSError:  # it has just ended
            return ""
        lines = data.decode("utf-8", "replace").replace("\r", "\n").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def run(self, *argv: str, timeout: float, variables: Sequence[tuple[str, str]] = (), listing: bool = False) -> Done:
        """Runs one to its end; the status is for the caller to judge. InstallError when it is missing or hangs.

        A ``listing`` is not for the log. The program writes to memory that outlives us: a package manager goes on to its end
        when we are killed, and what it says of a full disk is not lost to the full disk. In a session of its own it gets no
        Ctrl-C: see stopping.py.
        """
        self.log.write(f"$ {shlex.join(argv)}")
        begin = time.monotonic()
        fd = os.memfd_create("said")
        try:
            self._said = fd
            status = self._run(argv, fd, timeout, variables)
            said = os.pread(fd, os.fstat(fd).st_size, 0).decode("utf-8", "replace")
        finally:
            self._said = -1
            os.close(fd)
        self.log.write(f"({len(said.splitlines())} lines)" if listing else said.rstrip("\n"))
        self.log.write(f"= {status} after {time.monotonic() - begin:.1f} s")
        stopping.check()
        return Done(status, said)

    def _run(self, argv: Sequence[str], fd: int, timeout: float, variables: Sequence[tuple[str, str]]) -> int:
        ours = {**environment(), **dict(variables)}
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=fd, stderr=fd, env=ours, start_new_session=True
            )
        except FileNotFoundError as error:
            raise InstallError(f"the program {argv[0]} is missing", "install it, and run this again") from error
        except PermissionError as error:
            raise InstallError(f"{argv[0]} cannot be run: {error.strerror}", "check its permissions") from error
        with process:
            try:
                return process.wait(timeout)
            except subprocess.TimeoutExpired as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise InstallError(
                    f"{argv[0]} did not finish in {timeout:.0f} seconds", f"see {self.log.path}, and run this again"
                ) from error

    def must(self, *argv: str, timeout: float, variables: Sequence[tuple[str, str]] = (), listing: bool = False) -> str:
        """What it said; InstallError unless its exit status is 0."""
        done = self.run(*argv, timeout=timeout, variables=variables, listing=listing)
        if done.status != 0:
            raise InstallError(f"{shlex.join(argv)} failed: {done.last}", f"see {self.log.path}")
        return done.said
