# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes of the keeper that do what can sleep for long: a frozen filesystem holds up one of them, not the keeper.

They are made ahead of need and wait: making a process takes longer than letting a store grow.
"""

from __future__ import annotations

import os
import select

from hotcopy import context, daemon, grow
from hotcopy.devid import DevId
from hotcopy.grow import Need, Outcome
from hotcopy.light import TYPE_CHECKING
from hotcopy.pipes import readable

if TYPE_CHECKING:
    from typing import Callable

_BETWEEN = "\0"  # the fields of a job: no path has it
_END = b"\0\n"
_SOON = 1.0  # seconds: who waits that long for a job has time to get its memory locked, which takes long


def _packed(need: Need) -> bytes:
    fields = (str(need.minor), str(need.floor_percent), str(need.dev), need.fstype, need.mount_point)
    return os.fsencode(_BETWEEN.join(fields)) + _END


def _unpacked(message: bytes) -> Need:
    minor, floor, dev, fstype, mount_point = os.fsdecode(message[: -len(_END)]).split(_BETWEEN)
    return Need(int(minor), int(floor), DevId.parse(dev), mount_point, fstype)


def _job(jobs: int) -> Need | None:
    """The next job; None when the keeper has gone."""
    message = b""
    while not message.endswith(_END):
        more = os.read(jobs, select.PIPE_BUF)
        if not more:
            return None
        message += more
    return _unpacked(message)


def _serve(jobs: int, outcomes: int, job: Callable[[Need], Outcome]) -> None:
    locked = False
    while True:
        # Not before the first job: the store that is to grow is the smallest then, and fills the soonest.
        if not locked and not readable(jobs, _SOON):
            daemon.lock_memory()
            locked = True
        need = _job(jobs)
        if need is None:
            return
        os.write(outcomes, bytes([job(need)]))


class Worker:
    """One process; it ends when the keeper does, after what it is doing then."""

    def __init__(self, job: Callable[[Need], Outcome] = grow.attempt) -> None:
        """Makes the process. OSError."""
        # Pipes, not sockets: loading what Python needs for those takes as long as all the rest of us.
        jobs, self._jobs = os.pipe2(os.O_CLOEXEC)
        self._outcomes, outcomes = os.pipe2(os.O_CLOEXEC)
        try:
            self.process = os.fork()
        except OSError:
            os.close(jobs)
            os.close(outcomes)
            self._close_pipes()
            raise
        if self.process == 0:
            with context.suppress(BaseException):
                # Else the driver would think that the keeper lives on in us.
                daemon.close_descriptors(keep=(jobs, outcomes))
                daemon.harden()
                _serve(jobs, outcomes, job)
            os._exit(0)
        os.close(jobs)
        os.close(outcomes)
        os.set_blocking(self._outcomes, False)
        os.set_blocking(self._jobs, False)

    def _close_pipes(self) -> None:
        os.close(self._jobs)
        os.close(self._outcomes)
        self._jobs = self._outcomes = -1

    def give(self, need: Need) -> None:
        """Has it do this, when it does nothing. OSError when it has died."""
        os.write(self._jobs, _packed(need))

    def outcome(self) -> Outcome | None:
        """How the last job ended; None: it has not. FAILED, and is_alive no more, when the process has died."""
        try:
            message = os.read(self._outcomes, 1)
        except BlockingIOError:
            return None
        except OSError:
            message = b""
        if message:
            return Outcome(message[0])
        self.close()
        return Outcome.FAILED

    @property
    def is_alive(self) -> bool:
        """Whether it can be given something."""
        return self._jobs >= 0

    def close(self) -> None:
        """Lets it end when it has done what it is doing."""
        if self.is_alive:
            self._close_pipes()
        with context.suppress(ChildProcessError):
            os.waitpid(self.process, os.WNOHANG)  # else init reaps it, when the keeper has ended
