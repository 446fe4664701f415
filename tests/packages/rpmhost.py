# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian tree as a host of RPM packages: a package says what Debian brings, and the repository's definition is in place."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.driver.bench.run import run

HOST = """Name: host
Version: 1
Release: 1
Summary: What Debian brings
License: GPL-2.0-or-later
BuildArch: noarch
Provides: /bin/sh, /usr/bin/python3, python3 = 3.11, kmod, util-linux, dkms, gcc, make, elfutils-libelf-devel, systemd
%description
What Debian brings.
%files
"""
HOST_BRINGS = """set -e
rpm --install --force-debian --nodeps /run/repo/host.rpm
# Directories that a distribution with RPM has of its own.
mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d
mkdir -p /usr/lib/systemd/system-preset /usr/lib/udev/rules.d /usr/share/bash-completion/completions
mkdir -p /usr/share/licenses /usr/share/man/man8
"""
ADD = f"""{HOST_BRINGS}
cp /run/repo/hotcopy.asc /etc/pki/rpm-gpg/RPM-GPG-KEY-hotcopy
cp /run/repo/yum/el9/hotcopy.repo /etc/yum.repos.d/
"""
OWN = ("/var/lib/rpm", "/var/lib/dnf", "/root/.rpmdb")  # of rpm and dnf


def build_host(target: Path) -> None:
    """Builds the package that says what Debian brings."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "host.spec").write_text(HOST, encoding="utf-8")
        run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {place / 'top'}", place / "host.spec"])
        shutil.copy(next((place / "top/RPMS").rglob("*.rpm")), target)
