# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the system runs."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, refuse, warn
from installer.context import Context
from installer.matrix.match import place_of
from installer.matrix.model import Severity


def container(context: Context) -> Iterator[Finding]:
    """A container's kernel is its host's."""
    kind = context.system.container
    if kind == "none":
        yield ok("HC-CONTAINER", "not in a container")
        return
    row = place_of(context.matrix, kind)
    yield refuse(
        "HC-CONTAINER",
        (row.cause if row and row.cause else f"this is a container ({kind}), whose kernel belongs to its host"),
        (row.remedy if row else "install on the host, and take hot copies there"),
    )


def virtualization(context: Context) -> Iterator[Finding]:
    """The hypervisor, or the lack of one."""
    kind = context.system.virtualization
    row = place_of(context.matrix, kind)
    if row is None:
        yield warn("HC-VIRT", f"runs on {kind}, which the matrix does not have", "it is tried; tell us how it went")
    elif row.severity is Severity.OK:
        yield ok("HC-VIRT", f"{row.title} ({kind})")
    else:
        yield Finding("HC-VIRT", row.severity, row.cause or row.title, row.remedy)


def init(context: Context) -> Iterator[Finding]:
    """Who ends hot copies before a shutdown unmounts filesystems."""
    name = context.system.init
    if name == "systemd":
        yield ok("HC-INIT", "systemd ends hot copies before it unmounts filesystems")
    else:
        yield warn(
            "HC-INIT",
            f"process 1 is not systemd ({name}), for which our units are made",
            "before a shutdown run: hcp --remove --all",
        )
