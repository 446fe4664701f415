# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes of the keeper that do what can sleep for long: a frozen filesystem holds up one of them, not the keeper.

They are made ahead of need and wait: making a process takes longer than letting a store grow.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
from typing import Callable, final

from hotcopy import daemon, grow
from hotcopy.grow import Need, Outcome

_LONGEST = 1 << 16  # bytes of a message


def _serve(line: socket.socket, job: Callable[[Need], Outcome]) -> None:
    while True:
        message = line.recv(_LONGEST)
        if not message:
            return  # the keeper has gone
        need = pickle.loads(message)
        line.send(bytes([job(need)]))


@final
class Worker:
    """One process; it ends when the keeper does, after what it is doing then."""

    def __init__(self, job: Callable[[Need], Outcome] = grow.attempt) -> None:
        """Makes the process. OSError."""
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.process = os.fork()
        except OSError:
            self._line.close()
            theirs.close()
            raise
        if self.process == 0:
            with contextlib.suppress(BaseException):
                # Else the driver would think that the keeper lives on in us.
                daemon.close_descriptors(keep=theirs.fileno())
                daemon.harden()
                _serve(theirs, job)
            os._exit(0)
        theirs.close()
        self._line.setblocking(False)

    def give(self, need: Need) -> None:
        """Has it do this. OSError when it has died."""
        self._line.send(pickle.dumps(need))

    def outcome(self) -> Outcome | None:
        """How the last job ended; None: it has not. FAILED, and is_alive no more, when the process has died."""
        try:
            message = self._line.recv(1)
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
        return self._line.fileno() >= 0

    def close(self) -> None:
        """Lets it end when it has done what it is doing."""
        self._line.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.process, os.WNOHANG)  # else init reaps it, when the keeper has ended
