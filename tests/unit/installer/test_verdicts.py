# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts on recorded machines: what is refused, and what is warned of, each by its id."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from installer.checks.finding import Finding
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.matrix.model import Severity
from installer.verdict import judge
from tests.unit.installer.recorded import NAMES, recorded

# The end of life depends on the day, and warnings of faults on the matrix alone: they have tests of their own.
VERDICTS = (
    ("almalinux-10", "", ""),
    ("almalinux-8", "HC-DISTRO HC-KERNEL", "HC-PYTHON"),
    ("almalinux-9", "", "HC-DKMS"),
    ("almalinux-9-blksnap", "HC-HOOK", ""),
    ("almalinux-9-datto-idle", "", "HC-HOOK"),
    ("alpine-3.20", "HC-DISTRO HC-BROKEN-IO-URING-FREEZE", "HC-HEADERS HC-INIT"),
    ("amazon-2023", "", "HC-HEADERS HC-COMPILER HC-DKMS"),
    ("arch", "", "HC-DISTRO HC-KERNEL HC-HEADERS"),
    ("centos-6", "HC-DISTRO HC-KERNEL HC-FTRACE", "HC-PYTHON HC-INIT"),
    ("centos-7", "HC-DISTRO HC-KERNEL", "HC-PYTHON"),
    ("centos-stream-9", "", ""),
    ("debian-11", "", ""),
    ("debian-11-xen-domu", "", ""),
    ("debian-12", "", ""),
    ("debian-12-32-bit-userland", "HC-ARCH", ""),
    ("debian-12-arm64", "HC-ARCH", ""),
    ("debian-12-bare", "", "HC-HEADERS HC-COMPILER HC-DKMS"),
    ("debian-12-corrected", "HC-BROKEN-IO-URING-FREEZE", ""),
    ("debian-12-corrupting", "HC-BROKEN-EXT4-O-SYNC-CORRUPTION HC-BROKEN-IO-URING-FREEZE", ""),
    ("debian-12-corrupting-xfs", "HC-BROKEN-IO-URING-FREEZE", ""),
    ("debian-12-docker", "HC-CONTAINER HC-MODULES", "HC-FTRACE HC-HEADERS HC-INIT"),
    ("debian-12-full", "", "HC-MEMORY HC-ROOM HC-SPACE"),
    ("debian-12-lxc", "HC-CONTAINER HC-MODULES", "HC-HEADERS"),
    ("debian-12-modules-locked", "HC-MODULES", ""),
    ("debian-12-no-modules", "HC-MODULES HC-FTRACE", "HC-KERNEL HC-HEADERS"),
    ("debian-12-secure-boot", "", "HC-SECURE-BOOT"),
    ("debian-12-usr-read-only", "HC-USR", ""),
    ("debian-12-xen-dom0", "HC-VIRT", ""),
    ("debian-13", "", ""),
    ("debian-13-btrfs", "", "HC-FILESYSTEMS"),
    ("debian-6", "HC-DISTRO HC-KERNEL HC-BROKEN-EXT4-FREEZE-2.6 HC-FTRACE", "HC-PYTHON HC-INIT"),
    ("debian-testing", "", "HC-DISTRO HC-KERNEL"),
    ("fedora-42", "HC-DISTRO", "HC-KERNEL HC-FILESYSTEMS"),
    ("fedora-42-ostree", "HC-DISTRO HC-USR", "HC-KERNEL"),
    ("kali-2025.4", "", "HC-DISTRO"),
    ("linuxmint-22", "", "HC-DISTRO"),
    ("mageia-9", "", "HC-HEADERS"),
    ("manjaro", "", "HC-DISTRO HC-HEADERS"),
    ("openmandriva-3", "HC-DISTRO HC-KERNEL", "HC-PYTHON"),
    ("opensuse-leap-15.6", "", "HC-HEADERS"),
    ("opensuse-tumbleweed", "", "HC-DISTRO HC-FILESYSTEMS"),
    ("oracle-8-uek", "", "HC-HEADERS HC-PYTHON"),
    ("proxmox-8", "", "HC-HEADERS"),
    ("rhel-9-secure-boot", "", "HC-SECURE-BOOT HC-HEADERS"),
    ("rocky-9-live-patch", "HC-HOOK", ""),
    ("sle-micro-5.1", "HC-KERNEL HC-USR", "HC-DISTRO HC-PYTHON HC-FILESYSTEMS"),
    ("sles-15", "", "HC-PYTHON HC-FILESYSTEMS"),
    ("ubuntu-10.04-after-fix", "HC-DISTRO HC-KERNEL HC-FTRACE", "HC-PYTHON HC-INIT"),
    ("ubuntu-10.04-before-fix", "HC-DISTRO HC-KERNEL HC-BROKEN-EXT4-FREEZE-2.6 HC-FTRACE", "HC-PYTHON HC-INIT"),
    ("ubuntu-22.04-aws", "", "HC-HEADERS"),
    ("ubuntu-24.04-vmware", "", ""),
    ("ubuntu-24.04-wsl", "HC-VIRT HC-BROKEN-IO-URING-FREEZE HC-MODULES", "HC-HEADERS"),
)


def ids(findings: tuple[Finding, ...], severity: Severity) -> set[str]:
    return {finding.id for finding in findings if finding.severity is severity}


def test_every_record_is_judged() -> None:
    assert [name for name, _, _ in VERDICTS] == NAMES


@pytest.mark.parametrize(("name", "refused", "warned"), VERDICTS)
def test_verdict(name: str, refused: str, warned: str, tmp_path: Path) -> None:
    verdict = judge(recorded(name, tmp_path))
    assert ids(verdict.findings, Severity.REFUSE) == set(refused.split())
    warnings = {key for key in ids(verdict.findings, Severity.WARN) if not key.startswith("HC-BROKEN-")}
    assert warnings - {"HC-DISTRO-EOL"} == set(warned.split())
    assert bool(verdict.refusals) == bool(refused)


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_says_what_to_do(name: str, tmp_path: Path) -> None:
    for finding in judge(recorded(name, tmp_path)).findings:
        assert finding.cause and "\n" not in finding.cause + finding.remedy
        if finding.severity is Severity.REFUSE:
            assert finding.remedy and finding.reference, finding


def test_where_no_module_loads_there_is_the_demo(tmp_path: Path) -> None:
    (finding,) = (row for row in judge(recorded("debian-12-no-modules", tmp_path)).refusals if row.id == "HC-MODULES")
    assert "make demo" in finding.remedy


@pytest.mark.parametrize(("day", "severity"), [(date(2026, 1, 1), Severity.OK), (date(2031, 1, 1), Severity.WARN)])
def test_end_of_life_depends_on_the_day(day: date, severity: Severity, tmp_path: Path) -> None:
    verdict = judge(replace(recorded("debian-12", tmp_path), today=day))
    assert "HC-DISTRO-EOL" in ids(verdict.findings, severity)


def test_one_refusal_can_be_forced(tmp_path: Path) -> None:
    context = recorded("debian-12-usr-read-only", tmp_path)
    verdict = judge(context, ["HC-USR"])
    assert not verdict.refusals and verdict.severity is Severity.WARN


def test_the_others_stay(tmp_path: Path) -> None:
    verdict = judge(recorded("debian-12-docker", tmp_path), ["HC-CONTAINER"])
    assert [finding.id for finding in verdict.refusals] == ["HC-MODULES"]


@pytest.mark.parametrize(
    ("name", "forced", "code"),
    [
        ("ubuntu-10.04-before-fix", "HC-BROKEN-EXT4-FREEZE-2.6", ExitCode.REFUSED),  # it would lock up the machine
        ("debian-12-no-modules", "HC-MODULES", ExitCode.REFUSED),
        ("debian-12-arm64", "HC-ARCH", ExitCode.REFUSED),
        ("debian-12-corrected", "HC-BROKEN-IO-URING-FREEZE", ExitCode.REFUSED),
        ("debian-12", "HC-CONTAINER", ExitCode.USAGE),  # there is nothing to force
        ("debian-12", "HC-NONSENSE", ExitCode.USAGE),
    ],
)
def test_not_to_be_forced(name: str, forced: str, code: ExitCode, tmp_path: Path) -> None:
    with pytest.raises(InstallError) as caught:
        judge(recorded(name, tmp_path), [forced])
    assert caught.value.code is code
    assert forced in caught.value.cause
