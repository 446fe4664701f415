# SPDX-License-Identifier: GPL-2.0-or-later
"""What to send us, ready to paste: facts of the machine, no names of people, hosts or networks. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hotcopy import __version__
from installer.checks.finding import Finding
from installer.context import Context
from installer.detect.mounts import Filesystem
from installer.matrix.model import Severity

_OPTIONS = (
    "MODULES",
    "MODULE_SIG_FORCE",
    "FUNCTION_TRACER",
    "DYNAMIC_FTRACE",
    "DYNAMIC_FTRACE_WITH_REGS",
    "DYNAMIC_FTRACE_WITH_ARGS",
    "LIVEPATCH",
)
_WELL_KNOWN = frozenset(("/", "/boot", "/boot/efi", "/usr", "/var", "/home", "/tmp", "/srv", "/opt"))


def _filesystem(found: Filesystem) -> str:
    space = f", {found.space.free >> 20} of {found.space.size >> 20} MiB free" if found.space else ""
    # Other mount points may have the names of customers in them.
    place = found.place if found.place in _WELL_KNOWN else "a place of its own"
    return f"{found.fstype} at {place}{'' if found.writable else ' (read-only)'}{space}"


def facts(context: Context) -> dict[str, str]:
    """What was detected, as words."""
    system = context.system
    boot, options = system.secure_boot, system.kernel_config.options
    versions = ", ".join(f"{scheme.value} {version}" for scheme, version in system.kernel.identity.versions.items())
    return {
        "installer": __version__,
        "system": system.distro.title,
        "os-release": f"ID={system.distro.os_id} ID_LIKE={' '.join(system.distro.like)} VERSION_ID={system.distro.version}",
        "matrix row": f"{context.row.key if context.row else 'none'}{' (derived)' if context.derived else ''}",
        "family": context.family.value if context.family else "unknown",
        "kernel": f"{system.kernel.release}, {system.kernel.identity.version}",
        "kernel version": versions or "unknown",
        "architecture": system.architecture.machine,
        "virtualization": system.virtualization,
        "container": system.container,
        "init": system.init,
        "Secure Boot": f"{'on' if boot.enabled else 'off'}, lockdown {boot.lockdown}, enforced {boot.sig_enforce}",
        "configuration": " ".join(f"{name}={options.get(name, 'n')}" for name in _OPTIONS) if options else "not found",
        "headers": system.headers.path if system.headers.present else "missing",
        "compiler": system.tools.kernel_compiler
        if system.tools.kernel_compiler in system.tools.programs
        else "missing",
        "DKMS": "here" if "dkms" in system.tools.programs else "missing",
        "Python": system.tools.python or "none of 3.9 or later",
        "memory": f"{system.memory_mib} MiB",
        "filesystems": "; ".join(map(_filesystem, system.mounts.filesystems)) or "none on block devices",
        "other snapshot drivers": ", ".join(system.hooks.drivers) or "none",
        "hook held by": system.hooks.held_by or "nobody",
        "hcp": system.installed.command or "not installed",
        "driver": system.installed.module_file or "not installed",
        "driver loaded": system.installed.loaded_version or "no",
    }


def text(context: Context, findings: Sequence[Finding]) -> Iterator[str]:
    """Lines of Markdown."""
    yield "### Hot Copy: report of a system"
    yield ""
    yield "```"
    for name, value in facts(context).items():
        yield f"{name + ':':24}{value}"
    yield "```"
    yield ""
    for finding in findings:
        if finding.severity is not Severity.OK:
            yield f"- {finding.severity.value} {finding.id}: {finding.cause}"
