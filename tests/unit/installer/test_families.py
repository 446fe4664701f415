# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of packages, and what the words of package managers mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.exitcodes import ExitCode
from installer.families import packager
from installer.families.base import Repository
from installer.matrix.model import Family
from tests.unit.installer.recorded import recorded

HEADERS = (
    ("debian-12", "linux-headers-6.1.0-40-amd64"),
    ("debian-13", "linux-headers-6.12.48+deb13-amd64"),
    ("proxmox-8", "proxmox-headers-6.8.12-9-pve"),
    ("ubuntu-22.04-aws", "linux-headers-6.8.0-1021-aws"),
    ("almalinux-9", "kernel-devel-5.14.0-570.12.1.el9_6.x86_64"),
    ("oracle-8-uek", "kernel-uek-devel-5.15.0-206.153.7.1.el8uek.x86_64"),
    ("fedora-42", "kernel-devel-6.14.0-63.fc42.x86_64"),
    ("amazon-2023", "kernel6.12-devel-6.12.40-64.114.amzn2023.x86_64"),
    ("sles-15", "kernel-default-devel"),
    ("mageia-9", "kernel-desktop-devel-6.6.105-1.mga9"),
    ("openmandriva-3", "kernel-desktop-devel"),
    ("arch", "linux-headers"),
    ("manjaro", "linux612-headers"),
)

SAID = (
    (
        Family.DEBIAN,
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt)",
        ExitCode.LOCKED,
    ),
    (Family.DEBIAN, "E: Unable to locate package linux-headers-6.1.0-9-amd64", ExitCode.NO_HEADERS),
    (Family.DEBIAN, "E: Unable to locate package nonsense", ExitCode.FAILED),
    (
        Family.DEBIAN,
        "E: Failed to fetch http://deb.debian.org/x  Temporary failure resolving 'deb.debian.org'",
        ExitCode.NO_NETWORK,
    ),
    (
        Family.DEBIAN,
        "Err:1 http://deb.debian.org bookworm InRelease\n  Could not resolve 'proxy.example.com'",
        ExitCode.NO_NETWORK,
    ),
    (Family.DEBIAN, "  407  Proxy Authentication Required [IP: 10.0.0.1 3128]", ExitCode.NO_NETWORK),
    (
        Family.DEBIAN,
        "dpkg: error: cannot copy extracted data: failed to write (No space left on device)",
        ExitCode.NO_SPACE,
    ),
    (Family.DEBIAN, "E: You don't have enough free space in /var/cache/apt/archives/.", ExitCode.NO_SPACE),
    (Family.DEBIAN, "dpkg: error: unable to create '/usr/bin/gcc.dpkg-new': Read-only file system", ExitCode.READ_ONLY),
    (Family.DEBIAN, "E: The repository 'file:/srv ./ Release' is not signed.", ExitCode.FAILED),
    (Family.REDHAT, "Waiting for process with pid 4711 to finish.", ExitCode.LOCKED),
    (Family.REDHAT, "error: can't create transaction lock on /usr/lib/sysimage/rpm/.rpm.lock", ExitCode.LOCKED),
    (
        Family.REDHAT,
        "No match for argument: kernel-devel-5.14.0-1.el9.x86_64\nError: Unable to find a match",
        ExitCode.NO_HEADERS,
    ),
    (Family.REDHAT, "Error: Unable to find a match: dkms", ExitCode.FAILED),
    (Family.REDHAT, "Curl error (6): Couldn't resolve host name for https://mirrors.example.org", ExitCode.NO_NETWORK),
    (
        Family.REDHAT,
        "Error: Failed to download metadata for repo 'hotcopy': repomd.xml GPG signature verification error: Bad GPG signature",
        ExitCode.FAILED,
    ),
    (Family.REDHAT, "At least 120MB more space needed on the / filesystem.", ExitCode.NO_SPACE),
    (Family.SUSE, "System management is locked by the application with pid 99 (zypper).", ExitCode.LOCKED),
    (Family.SUSE, "'kernel-default-devel' not found in package names. Trying capabilities.", ExitCode.NO_HEADERS),
    (Family.ARCH, "error: failed to init transaction (unable to lock database)", ExitCode.LOCKED),
    (Family.ARCH, "error: target not found: linux-lts-headers", ExitCode.NO_HEADERS),
    (Family.AMAZON, "No match for argument: kernel6.12-devel-6.12.1", ExitCode.NO_HEADERS),
)


@pytest.mark.parametrize(("name", "package"), HEADERS)
def test_headers(name: str, package: str, tmp_path: Path) -> None:
    context = recorded(name, tmp_path)
    assert context.packager is not None
    assert context.packager.headers(context.system.kernel) == (package,)


@pytest.mark.parametrize(("family", "said", "code"), SAID)
def test_words(family: Family, said: str, code: ExitCode) -> None:
    error = packager(family).explain(said, ("a-package",))
    assert error.code is code, error
    assert error.cause and error.remedy and "{" not in error.cause


def test_unknown_words_are_passed_on() -> None:
    error = packager(Family.DEBIAN).explain("first\nsecond\nsomething new went wrong\n", ("gcc",))
    assert error.code is ExitCode.FAILED
    assert "something new went wrong" in error.cause and "install gcc" in error.remedy


@pytest.mark.parametrize("family", list(Family))
def test_every_family_can_do_it(family: Family) -> None:
    found = packager(family)
    assert found.install(("gcc",))[-1] == "gcc"
    assert found.remove(("gcc",))[-1] == "gcc"
    assert found.list_installed() and found.compiler("gcc") and found.python()


@pytest.mark.parametrize("family", list(Family))
def test_files_that_we_have_built_are_installed_without_a_question(family: Family) -> None:
    """Where the package manager asks about files without a signature (zypper), and for files only."""
    made = packager(family)
    command, by_name = made.install_files(["/here/hotcopy"]), made.install(["hotcopy"])
    assert command[-1] == "/here/hotcopy" and "--allow-unsigned-rpm" not in by_name
    assert ("--allow-unsigned-rpm" in command) == (family is Family.SUSE)


@pytest.mark.parametrize("family", [Family.DEBIAN, Family.REDHAT, Family.SUSE, Family.AMAZON])
def test_a_repository_is_trusted_by_its_own_key_only(family: Family) -> None:
    found = packager(family)
    (file,) = found.repository_files(Repository("https://example.org/x", "el9"), found.key_path())
    assert (
        found.key_path() in file.text
        and f"https://example.org/x/{'apt' if family is Family.DEBIAN else 'yum/el9'}/\n" in file.text
    )
    assert "Signed-By" in file.text or ("repo_gpgcheck=1" in file.text and "\ngpgcheck=1" in file.text)


@pytest.mark.parametrize("family", [Family.REDHAT, Family.SUSE, Family.AMAZON])
def test_a_key_that_rpm_was_told_of_is_no_package(family: Family) -> None:
    found = packager(family)
    assert found.trust("/key") == (("rpm", "--import", "/key"),)
    names = ("gpg-pubkey-1a2b-3c4d.(none)", "hotcopy-1-1.noarch")
    assert found.distrust(names) == (("hotcopy-1-1.noarch",), (("rpm", "--erase", "gpg-pubkey-1a2b-3c4d"),))
    assert packager(Family.DEBIAN).distrust(("hotcopy",)) == (("hotcopy",), ())
