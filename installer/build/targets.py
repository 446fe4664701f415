# SPDX-License-Identifier: GPL-2.0-or-later
"""The distributions with RPM that packages are built for, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass

from installer.build.layout import Places
from installer.families import packager
from installer.families.amazon import UNNUMBERED
from installer.matrix.model import Distro, Family, PackageFormat, Tier

_UNITS = "usr/lib/systemd/system"
_RULES = "usr/lib/udev/rules.d"
_LIBRARIES = {
    "distro": "python3-distro",
    "jinja2": "python3-jinja2",
    "packaging": "python3-packaging",
    "pyyaml": "python3-pyyaml",
}


@dataclass(frozen=True)
class RpmTarget:
    """One build of the packages; everything else is the same for all."""

    key: str
    title: str
    family: Family
    dist: str  # ".el9"
    vendor: str
    macros: tuple[tuple[str, str], ...]  # by which specs tell the distribution
    python: str = "/usr/bin/python3"  # the oldest there that runs hcp
    python_package: str = "python3"
    libraries: tuple[tuple[str, str], ...] = tuple(_LIBRARIES.items())  # names on PyPI to packages
    has_dkms: bool = False  # in its own repositories; elsewhere it is in EPEL or nowhere
    headers: str = "kernel-devel"
    group: str = ""
    merged_sbin: bool = False

    @property
    def suse(self) -> bool:
        """Whether SUSE's scriptlets are used."""
        return self.family is Family.SUSE

    @property
    def repositories(self) -> str:
        """Where definitions of repositories are."""
        return "/etc/zypp/repos.d" if self.suse else "/etc/yum.repos.d"

    @property
    def key_path(self) -> str:
        """Where the key of our repository is."""
        return packager(self.family).key_path()

    @property
    def kernel_provides(self) -> str:
        """By what a kernel's package names the release (uname -r) that it has; "" where nothing does."""
        return "kernel-uname-r" if self.family in (Family.REDHAT, Family.AMAZON) else ""

    @property
    def running_headers(self) -> str:
        """The package with the headers of the kernel that runs, as a word for a shell."""
        if self.family is Family.AMAZON:  # as installer.families.amazon has it
            return f"kernel$(uname -r | cut -d. -f1,2 | grep -Fvx {UNNUMBERED})-devel-$(uname -r)"
        return f"{self.headers}-$(uname -r)" if self.kernel_provides else self.headers

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """The macros that name the distribution."""
        return (("dist", self.dist), *self.macros) if self.dist else self.macros

    @property
    def places(self) -> Places:
        """Where its files go."""
        return Places(self.python, "usr/bin" if self.merged_sbin else "usr/sbin", _UNITS, _RULES)


def _el(number: int) -> RpmTarget:
    macros = (("rhel", str(number)), (f"el{number}", "1"))
    title = f"RHEL {number} and its rebuilds, CentOS Stream {number}"
    return RpmTarget(f"el{number}", title, Family.REDHAT, f".el{number}", "redhat", macros)


_PYTHON39 = tuple((name, package.replace("python3-", "python39-")) for name, package in _LIBRARIES.items())
_PYTHON311 = tuple(
    (name, package.replace("python3-", "python311-").replace("pyyaml", "PyYAML").replace("jinja2", "Jinja2"))
    for name, package in _LIBRARIES.items()
)
_SUSE = tuple(
    (name, package.replace("pyyaml", "PyYAML").replace("jinja2", "Jinja2")) for name, package in _LIBRARIES.items()
)

TARGETS = (
    RpmTarget(
        "el8",
        "RHEL 8 and its rebuilds",
        Family.REDHAT,
        ".el8",
        "redhat",
        (("rhel", "8"), ("el8", "1")),
        python="/usr/bin/python3.9",
        python_package="python39",
        libraries=_PYTHON39,
    ),
    _el(9),
    _el(10),
    RpmTarget(
        "fedora",
        "Fedora 43 and later",
        Family.REDHAT,
        ".fc43",
        "redhat",
        (("fedora", "43"), ("fc43", "1")),
        has_dkms=True,
        merged_sbin=True,
    ),
    RpmTarget(
        "suse15",
        "SUSE Linux Enterprise 15, openSUSE Leap 15",
        Family.SUSE,
        "",
        "suse",
        (("suse_version", "1500"), ("sle_version", "150600")),
        python="/usr/bin/python3.11",
        python_package="python311",
        libraries=_PYTHON311,
        headers="kernel-default-devel",
        group="System/Filesystems",
    ),
    RpmTarget(
        "suse",
        "SUSE Linux Enterprise 16, openSUSE Leap 16, Tumbleweed",
        Family.SUSE,
        "",
        "suse",
        (("suse_version", "1600"),),
        libraries=_SUSE,
        headers="kernel-default-devel",
        group="System/Filesystems",
    ),
    RpmTarget(
        "amazon",
        "Amazon Linux 2023",
        Family.AMAZON,
        ".amzn2023",
        "amazon",
        (("amzn", "2023"), ("amzn2023", "1")),
        has_dkms=True,  # github.com/amazonlinux/amazon-linux-2023/issues/77
    ),
    RpmTarget(
        "mageia",
        "Mageia 9 and later",
        Family.MAGEIA,
        ".mga9",
        "mageia",
        (("mageia", "9"), ("mga9", "1")),
        libraries=tuple((name, package.replace("pyyaml", "yaml")) for name, package in _LIBRARIES.items()),
        has_dkms=True,
        headers="kernel-desktop-devel",
        group="System/Base",
    ),
    RpmTarget(
        "openmandriva",
        "OpenMandriva Lx",
        Family.OPENMANDRIVA,
        "",
        "openmandriva",
        (("omvver", "2500"),),
        python_package="python",
        libraries=tuple(
            (name, package.replace("python3-pyyaml", "python-yaml").replace("python3-", "python-"))
            for name, package in _LIBRARIES.items()
        ),
        has_dkms=True,
        headers="kernel-desktop-devel",
        group="System/Base",
        merged_sbin=True,
    ),
)


def target_of(distro: Distro) -> RpmTarget | None:
    """The build for a row of the matrix; None for what has other packages, or is retired."""
    if distro.package_format is not PackageFormat.RPM or distro.tier is Tier.RETIRED:
        return None
    key = {
        Family.AMAZON: "amazon",
        Family.MAGEIA: "mageia",
        Family.OPENMANDRIVA: "openmandriva",
        Family.SUSE: "suse15" if any(version.startswith("15") for version in distro.versions) else "suse",
        Family.REDHAT: "fedora" if distro.os_id == "fedora" else f"el{''.join(distro.versions)}",
    }[distro.family]
    return by_key(key)


def by_key(key: str) -> RpmTarget:
    """The target of this name; KeyError."""
    return {target.key: target for target in TARGETS}[key]
