# SPDX-License-Identifier: GPL-2.0-or-later
"""Secure Boot and lockdown."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, warn
from installer.context import Context


def signatures(context: Context) -> Iterator[Finding]:
    """Whether an unsigned driver would be refused."""
    state = context.system.secure_boot
    if not state.wants_signature:
        boot = "Secure Boot is on, but the kernel does not insist on it" if state.enabled else "Secure Boot is off"
        yield ok("HC-SECURE-BOOT", f"{boot}: modules need no signature")
        return
    why = "Secure Boot is on" if state.enabled else "the kernel insists on signatures"
    detail = f"lockdown={state.lockdown}" if state.lockdown != "none" else "module.sig_enforce"
    yield warn(
        "HC-SECURE-BOOT",
        f"{why} ({detail}): only modules signed by an enrolled key load",
        "the driver is signed with a key of this machine; enrolling it takes a password, a reboot and somebody at the console",
    )
