# SPDX-License-Identifier: GPL-2.0-or-later
"""How an installation is: the checks from before it, and what is there now."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks import registry
from installer.checks.finding import Finding, ok, refuse, warn
from installer.context import Context
from installer.journal import Journal

_INSTALL = "hotcopy-install"


def _command(context: Context) -> Iterator[Finding]:
    path = context.system.installed.command
    yield ok("HC-HCP", f"{path} is here") if path else refuse("HC-HCP", "hcp is not installed", _INSTALL)


def _module(context: Context) -> Iterator[Finding]:
    system = context.system
    if system.installed.module_file:
        yield ok("HC-DRIVER-FILE", f"the driver for kernel {system.kernel.release} is {system.installed.module_file}")
    else:
        yield refuse(
            "HC-DRIVER-FILE", f"there is no driver for kernel {system.kernel.release}", "hcp-setup --get-module"
        )


def _loaded(context: Context) -> Iterator[Finding]:
    version, wanted = context.system.installed.loaded_version, context.system.installed.driver_version
    if not version:
        yield warn("HC-DRIVER-LOADED", "the driver is not loaded; hcp loads it when it is needed", "modprobe hcpdriver")
    elif version != wanted:
        yield warn(
            "HC-DRIVER-LOADED",
            f"the loaded driver is of version {version}, this is {wanted}",
            "hcp --remove --all; modprobe -r hcpdriver; modprobe hcpdriver",
        )
    elif not context.system.installed.control_node:
        yield refuse(
            "HC-DRIVER-LOADED",
            f"the driver {version} is loaded, but its node /dev/hcp is missing",
            "check /dev (udev, devtmpfs), or: modprobe -r hcpdriver; modprobe hcpdriver",
        )
    else:
        yield ok("HC-DRIVER-LOADED", f"the driver {version} is loaded")


def _units(context: Context) -> Iterator[Finding]:
    if context.system.init != "systemd":
        return
    if context.system.installed.units_enabled:
        yield ok("HC-UNITS", "hotcopy.service and hotcopy-clean.service are enabled")
    else:
        yield warn(
            "HC-UNITS", "the units are not enabled", "systemctl enable --now hotcopy.service hotcopy-clean.service"
        )


def _rules(context: Context) -> Iterator[Finding]:
    if context.system.installed.rules:
        yield ok("HC-UDEV", "the udev rules are in place")
    else:
        yield warn("HC-UDEV", "59-hotcopy.rules is missing: links by UUID or label may lead to hot copies", _INSTALL)


def _journal(context: Context) -> Iterator[Finding]:
    journal = Journal(context.system.root)
    if journal.unfinished:
        yield refuse(
            "HC-HALF-DONE",
            f"an installation was stopped at the step {journal.unfinished!r}",
            "hotcopy-install goes on; hotcopy-install uninstall takes away what is done",
        )
    elif journal.entries:
        yield ok("HC-HALF-DONE", "the last installation got to its end")


INSTALLED = (_command, _module, _loaded, _units, _rules, _journal)


def examine(context: Context) -> tuple[Finding, ...]:
    """Runs every check."""
    return registry.run((*registry.BEFORE, *INSTALLED), context)
