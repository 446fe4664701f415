"""The rows: every kernel of every distribution in matrix.yaml, and every kernel of Debian's that the bench finds."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from installer.build.targets import target_of
from installer.matrix.model import Distro, Matrix, PackageFormat, Provider, Tier
from tests.distro.cells import Row
from tests.driver.bench.kernels import FURTHER, KERNELS

SUITES = {"debian-11": "bullseye", "debian-12": "bookworm", "debian-13": "trixie", "debian-testing": "forky"}
UNREACHABLE = (
    "no packages of it are reachable here, hence no guest: vagrant up {key} on a machine that has a hypervisor"
)
BOXLESS = "no packages of it are reachable here, hence no guest, and there is no Vagrant box"
CURRENT = "current"  # the kernel of what follows upstream
OTHER_SERIES = "none of its kernels of this series is among those the bench finds"
# The real dnf, rpm and the packages for EL 9; kernel and userland are Debian's, since nobody else's are reachable here.
RPM_GUEST = Row(
    "rpm-guest",
    "RPM guest: dnf and EL 9 packages on Debian 12",
    "6.1",
    "6.1",
    packages="el9",
    kernel_of="debian-12/6.1",
)


def rows(matrix: Matrix) -> Iterator[Row]:
    """In the order of matrix.yaml; of what is retired or planned one row a distribution. The RPM guest comes last."""
    for distro in matrix.distros:
        packages = packages_of(distro)
        if distro.key in SUITES:
            yield from _debian(distro, matrix.kernels.newest)
        elif distro.tier in (Tier.RETIRED, Tier.PLANNED):
            kernel = distro.kernels[-1] if distro.kernels else "any"
            reason = f"{distro.tier.value}: {distro.advice}"
            yield Row(distro.key, distro.title, kernel, "", reason, packages)
        else:
            reason = (UNREACHABLE if distro.boxes else BOXLESS).format(key=distro.key)
            for kernel in distro.kernels or (CURRENT,):
                yield Row(distro.key, distro.title, kernel, "", reason, packages)
    yield RPM_GUEST


def box_rows(matrix: Matrix, provider: Provider) -> Iterator[Row]:
    """What Vagrant can bring up with this provider: a row for each box."""
    for distro in matrix.distros:
        if provider in distro.boxes:
            yield Row(distro.key, distro.title, "box", distro.key, packages=packages_of(distro))


def packages_of(distro: Distro) -> str:
    """What of hotcopy-install build is for it: "deb", an RPM target, or nothing."""
    if distro.tier in (Tier.RETIRED, Tier.PLANNED):
        return ""
    if distro.package_format is PackageFormat.DEB:
        return "deb"
    target = target_of(distro)
    return target.key if target else ""


def _debian(distro: Distro, newest: str) -> Iterator[Row]:
    # The bench calls the newest 7 "7.x": detect finds out whether it still is the newest of matrix.yaml.
    names = {"7.x": newest, "testing": CURRENT}
    known = {
        names.get(kernel.name, kernel.name): kernel.name
        for kernel in (*KERNELS, *FURTHER)
        if kernel.suite == SUITES[distro.key]
    }
    for kernel in sorted({*known, *distro.kernels}, key=_age):
        guest = known.get(kernel, "")
        yield Row(distro.key, distro.title, kernel, guest, "" if guest else OTHER_SERIES, "deb")


def _age(kernel: str) -> tuple[tuple[int, ...], str]:
    series, _, flavour = kernel.replace(CURRENT, "999").partition("-")
    return tuple(int(part) for part in series.split(".")), flavour


def chosen(every: list[Row], patterns: list[str]) -> list[Row]:
    """Those of these names: DISTRIBUTION, DISTRIBUTION/KERNEL, or a glob; LookupError names what is not there."""
    if not patterns:
        return every
    for pattern in patterns:
        if not any(_fits(row, pattern) for row in every):
            raise LookupError(f"no row {pattern!r}; there are: {', '.join(row.name for row in every)}")
    return [row for row in every if any(_fits(row, pattern) for pattern in patterns)]


def _fits(row: Row, pattern: str) -> bool:
    return fnmatchcase(row.name, pattern) or row.distro == pattern
