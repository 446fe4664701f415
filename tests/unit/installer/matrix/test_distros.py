# SPDX-License-Identifier: GPL-2.0-or-later
"""The row of a system, and that the tables agree with each other."""

from __future__ import annotations

import pytest

from installer.matrix.distros import find_distro
from installer.matrix.load import load
from installer.matrix.match import place_of
from installer.matrix.model import Distro, Level, Severity, Tier

MATRIX = load()
BY_KEY = {row.key: row for row in MATRIX.distros}


@pytest.mark.parametrize(
    ("os_id", "version", "codename", "name", "key"),
    [
        ("debian", "12", "bookworm", "Debian GNU/Linux", "debian-12"),
        ("debian", "", "forky", "Debian GNU/Linux", "debian-testing"),
        ("debian", "6.0", "", "Debian GNU/Linux", "debian-4-to-9"),
        ("debian", "99", "", "Debian GNU/Linux", None),
        ("debian", "", "future", "Debian GNU/Linux", None),
        ("ubuntu", "24.04", "noble", "Ubuntu", "ubuntu-24.04"),
        ("ubuntu", "10.04", "", "Ubuntu", "ubuntu-5.04-to-18.04"),
        ("ubuntu", "25.10", "", "Ubuntu", "ubuntu-interim"),
        ("rhel", "9.4", "", "Red Hat Enterprise Linux", "rhel-9"),
        ("rhel", "7.9", "", "Red Hat Enterprise Linux Server", "rhel-4-to-7"),
        ("rhel", "10.1", "", "Red Hat Enterprise Linux", "rhel-10"),
        ("centos", "9", "", "CentOS Stream", "centos-stream-9"),
        ("centos", "8", "", "CentOS Stream", "centos-stream-8"),
        ("centos", "8", "", "CentOS Linux", "centos-8"),
        ("centos", "7", "", "CentOS Linux", "centos-4-to-7"),
        ("almalinux", "8.10", "", "AlmaLinux", "almalinux-8"),
        ("ol", "8.10", "", "Oracle Linux Server", "ol-8"),
        ("fedora", "44", "", "Fedora Linux", "fedora-44"),
        ("fedora", "45", "", "Fedora Linux", "fedora-later"),
        ("fedora", "42", "", "Fedora Linux", "fedora-13-to-42"),
        ("fedora", "12", "", "Fedora", "fedora-1-to-12"),
        ("sles", "15.7", "", "SLES", "sles-15"),
        ("sles", "15.3", "", "SLES", "sles-15-early"),
        ("sles", "15", "", "SLES", "sles-15-early"),
        ("sles", "12.5", "", "SLES", "sles-12"),
        ("sles", "16.0", "", "SLES", "sles-16"),
        ("opensuse-leap", "15.6", "", "openSUSE Leap", "opensuse-leap-15.6"),
        ("opensuse-tumbleweed", "20261120", "", "openSUSE Tumbleweed", "opensuse-tumbleweed"),
        ("openmandriva", "24.12", "", "OpenMandriva Lx", "openmandriva"),
        ("openmandriva", "3.0", "", "OpenMandriva Lx", "openmandriva-early"),
        ("mandriva", "2010.2", "", "Mandriva Linux", "mandriva-2008-to-2010"),
        ("amzn", "2023", "", "Amazon Linux", "amazon-2023"),
        ("amzn", "2", "", "Amazon Linux", "amazon-early"),
        ("arch", "", "", "Arch Linux", "arch"),
        ("gentoo", "2.15", "", "Gentoo", None),
    ],
)
def test_row_of_a_system(os_id: str, version: str, codename: str, name: str, key: str | None) -> None:
    values = {"ID": os_id, "VERSION_ID": version, "VERSION_CODENAME": codename, "NAME": name}
    found = find_distro(MATRIX, values)
    assert (found.key if found else None) == key


@pytest.mark.parametrize("row", MATRIX.distros, ids=lambda row: str(row.key))
def test_every_row_finds_itself(row: Distro) -> None:
    for version in row.versions or ("",):
        values = {"ID": row.os_id, "VERSION_ID": version, "NAME": row.os_name or ""}
        if row.codenames:
            values["VERSION_CODENAME"] = row.codenames[0]
        assert find_distro(MATRIX, values) is row


@pytest.mark.parametrize("row", MATRIX.distros, ids=lambda row: str(row.key))
def test_kernels_of_a_row_are_in_the_table_of_kernels(row: Distro) -> None:
    if row.tier is Tier.RETIRED:
        return
    known = {series.series: series for series in MATRIX.kernels.series}
    assert set(row.kernels) <= set(known)
    if row.tier is Tier.PLANNED:
        assert {known[series].tier for series in row.kernels} == {Tier.PLANNED}
    elif row.kernels:
        assert Tier.SUPPORTED in {known[series].tier for series in row.kernels}


@pytest.mark.parametrize("row", MATRIX.distros, ids=lambda row: str(row.key))
def test_what_was_booted_has_a_booted_kernel(row: Distro) -> None:
    booted = {series.series for series in MATRIX.kernels.series if series.verified.level is Level.BOOTED}
    if row.verified.level is Level.BOOTED:
        assert set(row.kernels) <= booted


@pytest.mark.parametrize("row", MATRIX.distros, ids=lambda row: str(row.key))
def test_ends_are_in_order(row: Distro) -> None:
    if row.end_of_life and row.extended_end:
        assert row.end_of_life < row.extended_end


def test_series_go_from_old_to_new() -> None:
    order = [tuple(map(int, series.series.split("."))) for series in MATRIX.kernels.series]
    assert order == sorted(order)
    supported = [series.series for series in MATRIX.kernels.series if series.tier is Tier.SUPPORTED]
    assert (supported[0], supported[-1]) == (MATRIX.kernels.oldest, MATRIX.kernels.newest)


@pytest.mark.parametrize(
    ("original", "successor"),
    [
        ("rhel-4-to-7", "rhel-9"),
        ("centos-4-to-7", "centos-stream-9"),
        ("ubuntu-5.04-to-18.04", "ubuntu-26.04"),
        ("debian-4-to-9", "debian-13"),
        ("fedora-1-to-12", "fedora-44"),
        ("sles-10-and-11", "sles-16"),
        ("opensuse-10-to-13", "opensuse-leap-16"),
        ("mandriva-2008-to-2010", "mageia-10"),
    ],
)
def test_rows_of_the_original_stay(original: str, successor: str) -> None:
    assert BY_KEY[original].tier is Tier.RETIRED
    assert BY_KEY[successor].tier is Tier.SUPPORTED


@pytest.mark.parametrize(
    ("detected", "severity"),
    [
        *(("none", Severity.OK), ("kvm", Severity.OK), ("vmware", Severity.OK), ("microsoft", Severity.OK)),
        *(("xen", Severity.OK), ("amazon", Severity.OK), ("xen-dom0", Severity.REFUSE), ("esxi", Severity.REFUSE)),
        *(("lxc", Severity.REFUSE), ("openvz", Severity.REFUSE), ("docker", Severity.REFUSE)),
        *(("podman", Severity.REFUSE), ("wsl", Severity.REFUSE)),
    ],
)
def test_places(detected: str, severity: Severity) -> None:
    place = place_of(MATRIX, detected)
    assert place is not None and place.severity is severity and place.remedy


def test_an_unknown_place() -> None:
    assert place_of(MATRIX, "hyper-drive") is None
