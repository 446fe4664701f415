# SPDX-License-Identifier: GPL-2.0-or-later
"""What matrix.yaml says, as types. Nothing here reads, compares or prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum


class Family(Enum):
    """Who packages a distribution's kernels, and with which tools."""

    DEBIAN = "debian"
    REDHAT = "redhat"
    SUSE = "suse"
    AMAZON = "amazon"
    MAGEIA = "mageia"
    OPENMANDRIVA = "openmandriva"
    ARCH = "arch"


class PackageFormat(Enum):
    """The kind of package a distribution installs."""

    DEB = "deb"
    RPM = "rpm"
    PACMAN = "pacman"


class Tier(Enum):
    """What the user of a distribution or a kernel may expect."""

    SUPPORTED = "supported"
    PREVIEW = "preview"  # moves on without notice (rolling, testing): it is tried, with a warning
    PLANNED = "planned"  # the driver does not build there yet
    RETIRED = "retired"


class Level(Enum):
    """How far a row was verified; nothing counts that did not run."""

    BOOTED = "booted"
    BUILT = "built"
    RENDERED = "rendered"
    NONE = "none"


class Severity(Enum):
    """What is done on a machine to which a row applies."""

    OK = "ok"
    WARN = "warn"
    REFUSE = "refuse"


class AppliesWhen(Enum):
    """What must be true on a machine for its broken kernel to matter."""

    ANY = "any"
    EXT4_MOUNTED = "ext4-mounted"
    XFS_MOUNTED = "xfs-mounted"


class Scheme(Enum):
    """How a vendor counts kernel versions, hence how they are compared."""

    UPSTREAM = "upstream"  # 6.1.64, 2.6.32-rc3
    DEBIAN = "debian"  # 6.1.64-1, the package's version
    UBUNTU = "ubuntu"  # 2.6.32-24.41, the package's version
    RPM = "rpm"  # 5.14.0-427.13.1.el9_4
    SUSE = "suse"  # 6.4.0-150600.23.7


class Provider(Enum):
    """What runs the guests of a Vagrant box."""

    LIBVIRT = "libvirt"
    VIRTUALBOX = "virtualbox"


@dataclass(frozen=True)
class Verified:
    """How far a row was verified, and why not further."""

    level: Level
    reason: str


@dataclass(frozen=True)
class Distro:
    """A release of a distribution, or several that share one fate."""

    key: str  # "debian-12": stable, for tests, guests and JSON
    title: str
    os_id: str  # ID of os-release(5)
    os_name: str | None  # how NAME begins, where ID and version do not tell: "CentOS Stream"
    versions: tuple[str, ...]  # VERSION_ID or its leading parts ("8" covers "8.10"); none: any version, or none
    codenames: tuple[str, ...]  # VERSION_CODENAME of a release that has no VERSION_ID
    family: Family
    package_format: PackageFormat
    scheme: Scheme
    architectures: tuple[str, ...]
    kernels: tuple[str, ...]  # series, "6.1"; none: they follow upstream
    end_of_life: date | None  # the end of free updates; none: rolling, or not announced
    extended_end: date | None  # the end of paid or long-term ones
    boxes: Mapping[Provider, str]  # Vagrant's, by provider
    tier: Tier
    verified: Verified
    advice: str | None  # what to do on a retired release, or one past its end
    references: tuple[str, ...]


@dataclass(frozen=True)
class KernelSeries:
    """A series of kernels."""

    series: str  # "6.12"
    tier: Tier
    verified: Verified
    found_in: str


@dataclass(frozen=True)
class Kernels:
    """The range of kernels. ``older`` and ``newer`` say to the user what happens outside of it."""

    oldest: str
    newest: str
    older: str
    newer: str
    series: tuple[KernelSeries, ...]


@dataclass(frozen=True)
class Event:
    """The version with which a fault came (it has it), or went (it has it no longer)."""

    version: str
    broken: bool


@dataclass(frozen=True)
class DriverPattern:
    """What the driver compares, which knows no distributions: globs on uname -r and uname -v."""

    release: str
    version: str


@dataclass(frozen=True)
class Affected:
    """The kernels of one vendor that have a fault."""

    scheme: Scheme
    events: tuple[Event, ...]  # oldest first
    release: str | None  # a glob on uname -r for those meant, where the scheme alone does not tell
    driver: tuple[DriverPattern, ...]  # the same kernels, no others


@dataclass(frozen=True)
class Reference:
    """Where it is said, and in which words."""

    url: str
    evidence: str


@dataclass(frozen=True)
class KnownBroken:
    """A fault of certain kernels that a hot copy would run into."""

    key: str
    title: str
    applies_when: AppliesWhen
    severity: Severity
    forceable: bool  # never for a deadlock
    affected: tuple[Affected, ...]
    remedy: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Virtualization:
    """A place a system may run in."""

    key: str
    title: str
    detect: tuple[str, ...]  # the names systemd-detect-virt has for it
    severity: Severity
    cause: str | None
    remedy: str  # where to install


@dataclass(frozen=True)
class RequiredCommand:
    """A command that must be there, and which package has it (by family, where the name is another)."""

    command: str
    purpose: str
    package: str
    packages: Mapping[Family, str]


@dataclass(frozen=True)
class Requirements:
    """What a machine must have."""

    memory_mib: int
    free_space_percent: int  # of the filesystem that keeps the changed blocks
    python: str
    commands: tuple[RequiredCommand, ...]


@dataclass(frozen=True)
class Matrix:
    """The whole file."""

    distros: tuple[Distro, ...]
    kernels: Kernels
    known_broken: tuple[KnownBroken, ...]
    virtualization: tuple[Virtualization, ...]
    requirements: Requirements
