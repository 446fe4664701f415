# SPDX-License-Identifier: GPL-2.0-or-later
"""The exit statuses of hotcopy-install; docs/installing.md lists them, and a test compares."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Each for one thing that a script, or a person, does something else about."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        """An integer with a sentence."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "done, or there was nothing to do; for --check: it can be installed here (warnings are no refusal)"
    FAILED = 1, "failed for a reason of its own, which the message names"
    USAGE = 2, "wrong usage"
    REFUSED = 3, "this system is refused; nothing was changed"
    REBOOT = 4, "installed, but it works only after a reboot: the firmware asks there to enrol the key (Secure Boot)"
    STOPPED = 5, "stopped half-way (a signal); run it again, and it goes on, or run uninstall"
    LOCKED = 6, "the package manager is at work for somebody else, or its database is locked"
    NO_NETWORK = 7, "packages cannot be fetched: no network, or a proxy"
    NO_SPACE = 8, "a filesystem is full"
    READ_ONLY = 9, "a filesystem is mounted read-only"
    NO_HEADERS = 10, "there are no headers for the running kernel"
    NOT_BUILT = 11, "the driver does not compile for this kernel"
    NOT_LOADED = 12, "the driver was built but does not load"
    NOT_VERIFIED = 13, "all is installed, but the hot copy that was taken to prove it failed"
    IN_USE = 14, "hot copies are active, so nothing was removed"
    UNCONFIRMED = 15, "nobody said yes: there is no terminal, and --yes was not given"
    NOT_ROOT = 16, "root is needed"
