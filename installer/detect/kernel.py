# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel runs, by its vendor's way of counting."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from installer.detect import files
from installer.matrix.model import Scheme

_SERIES = re.compile(r"\d+\.\d+")
_UPSTREAM = re.compile(r"\d+\.\d+(\.\d+)?(-rc\d+)?")
_DEBIAN = re.compile(r"\bDebian (\S+)")  # #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)
_UBUNTU = re.compile(r"Ubuntu (\d\S*?)-([a-z][a-z0-9-]*) (\S+)")  # Ubuntu 6.8.0-31.31-generic 6.8.1
_UBUNTU_ABI = re.compile(r"(\d\S*?)-[a-z][a-z0-9-]*")  # 6.8.0-31-generic
_UBUNTU_BUILD = re.compile(r"#(\d+)\S*-Ubuntu")  # #31-Ubuntu SMP
_RPM = re.compile(r"\.(el\d+|fc\d+|amzn\d*|mga\d+|omv\d*)")
_SUSE = re.compile(r"(\d\S*?)-(default|azure|rt|kvmsmall|64kb|longterm|preempt|vanilla)")


@dataclass(frozen=True)
class Uname:
    """uname(2)."""

    system: str
    release: str
    version: str
    machine: str

    @classmethod
    def of_host(cls) -> Uname:
        """The running kernel's."""
        own = os.uname()
        return cls(own.sysname, own.release, own.version, own.machine)


@dataclass(frozen=True)
class Kernel:
    """The running kernel."""

    release: str  # uname -r
    version: str  # uname -v
    series: str  # "6.1"; "" when the release is not of that form
    flavour: str  # "generic", "default", "amd64", "uek"; "" where there is only one
    versions: Mapping[Scheme, str]  # its version as each scheme that applies to it writes it


def _rpm_version(release: str, machine: str) -> str:
    head, dot, tail = release.partition(f".{machine}")
    # CentOS and Fedora append a variant: 5.14.0-1.el9.x86_64+rt, +debug
    return head if dot and (not tail or tail.startswith("+")) else release


def _ubuntu(root: Path, uname: Uname) -> dict[Scheme, str]:
    signature = _UBUNTU.match(files.text(root, "proc/version_signature"))
    if signature is not None:
        return {Scheme.UBUNTU: signature[1], Scheme.UPSTREAM: signature[3]}
    build, abi = _UBUNTU_BUILD.match(uname.version), _UBUNTU_ABI.fullmatch(uname.release)
    return {Scheme.UBUNTU: f"{abi[1]}.{build[1]}"} if build and abi else {}


def _versions(root: Path, uname: Uname) -> dict[Scheme, str]:
    ubuntu = _ubuntu(root, uname)
    if ubuntu:
        return ubuntu
    debian = _DEBIAN.search(uname.version)
    if debian is not None:
        upstream = _UPSTREAM.match(debian[1])
        return {Scheme.DEBIAN: debian[1], **({Scheme.UPSTREAM: upstream[0]} if upstream else {})}
    if _RPM.search(uname.release):  # no upstream version: what is in there was chosen by the vendor
        return {Scheme.RPM: _rpm_version(uname.release, uname.machine)}
    suse = _SUSE.fullmatch(uname.release)
    if suse is not None:
        return {Scheme.SUSE: suse[1]}
    upstream = _UPSTREAM.match(uname.release)
    return {Scheme.UPSTREAM: upstream[0]} if upstream else {}


def _flavour(uname: Uname) -> str:
    if "uek" in uname.release:
        return "uek"
    last = uname.release.rpartition("-")[2]
    # 6.1.0-56-amd64, 6.8.0-31-generic; a number or a machine is no flavour
    if not re.fullmatch(r"[a-z][a-z0-9]*", last) or last == uname.machine:
        return ""
    return f"cloud-{last}" if f"-cloud-{last}" in uname.release else last


def detect(root: Path, uname: Uname) -> Kernel:
    """What uname says, taken apart."""
    series = _SERIES.match(uname.release)
    return Kernel(
        release=uname.release,
        version=uname.version,
        series=series[0] if series else "",
        flavour=_flavour(uname),
        versions=_versions(root, uname),
    )
