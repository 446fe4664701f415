# SPDX-License-Identifier: GPL-2.0-or-later
"""The hcp command: forked from the interpreter that has imported it, or installed and started for real."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import re
import signal
import traceback
from collections.abc import Iterator, Mapping

import hotcopy
from hotcopy import cli, sessions
from tests.driver.guest.commands import Ended, eventually

# What the command imports only when it needs it, once here instead of in every fork.
for _module in pkgutil.iter_modules(hotcopy.__path__):
    if _module.name != "__main__":
        importlib.import_module(f"hotcopy.{_module.name}")

PATIENCE = 100.0  # seconds for the command to end
_CRASHED = 70
_patience = PATIENCE


class Running:
    """The command in a process of its own that need not import everything first: emulation makes that slow."""

    def __init__(
        self, *words: str, cwd: str = "/", environment: Mapping[str, str] | None = None, user: int = 0
    ) -> None:
        self._words = words
        self._outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
        self._status: int | None = None
        # A signal must not find the child before it is where it can only end.
        everything = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self.pid = os.fork()
        if self.pid == 0:
            status = _CRASHED
            try:
                os.setpgid(0, 0)
                signal.pthread_sigmask(signal.SIG_SETMASK, everything)
                status = self._run(cwd, environment or {}, user)
            except BaseException:
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(status)
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(self.pid, self.pid)  # whoever of us comes first
        signal.pthread_sigmask(signal.SIG_SETMASK, everything)

    def _run(self, cwd: str, environment: Mapping[str, str], user: int) -> int:
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(self._outputs[0], 1)
        os.dup2(self._outputs[1], 2)
        os.environ.update(environment)
        os.chdir(cwd)
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        gc.disable()  # as the command does
        return cli.main(list(self._words))

    def signal(self, number: int) -> None:
        """Send a signal to the command alone."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, and every program that it has started."""
        os.killpg(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether it has."""
        if self._status is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self._status = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        return self._status is not None

    def wait(self, patience: float = PATIENCE) -> Ended:
        """How it ends; whatever it has started may go on."""
        if not eventually(self.has_ended, patience):
            self.kill()
            raise TimeoutError(f"hcp {self._words}: no end after {patience:.0f} s")
        texts = []
        for fd in self._outputs:
            texts.append(os.pread(fd, 1 << 20, 0).decode())
            os.close(fd)
        assert self._status is not None
        return Ended(self._status, *texts)


@contextlib.contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Commands may take this long: for machines made slow on purpose."""
    global _patience
    _patience, before = seconds, _patience
    try:
        yield
    finally:
        _patience = before


def call(*words: str, cwd: str = "/", environment: Mapping[str, str] | None = None, user: int = 0) -> Ended:
    """The command from its start to its end."""
    return Running(*words, cwd=cwd, environment=environment, user=user).wait(_patience)


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """The forked command soon believes that what is busy stays so: for what is busy on purpose."""
    patience = sessions._BUSY_PATIENCE
    sessions._BUSY_PATIENCE = 0.5
    try:
        yield
    finally:
        sessions._BUSY_PATIENCE = patience


def said(words: tuple[str, ...], done: Ended) -> str:
    """The output of a command that must have succeeded, and said nothing on stderr."""
    assert (done.status, done.err) == (0, ""), f"hcp {words}: {done}"
    return done.out


def hcp(*words: str, cwd: str = "/") -> str:
    """The command, which must succeed; its output."""
    return said(words, call(*words, cwd=cwd))


def complaint(words: tuple[str, ...], done: Ended, parts: tuple[str, ...], status: int = 1) -> str:
    """The one line on stderr, with every part, of a command that must have failed."""
    assert done.status == status, f"hcp {words}: {done}"
    assert re.fullmatch(r"hcp: error: [^\n]+; [^\n]+\n", done.err), done.err
    for part in parts:
        assert part in done.err, done.err
    return done.err


def refused(
    *words: str,
    status: int = 1,
    parts: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> str:
    """The command, which must fail with one line on stderr that has every part; that line."""
    return complaint(words, call(*words, environment=environment), parts, status)
