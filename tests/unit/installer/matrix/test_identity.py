# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose kernel it is, from what real machines say of theirs."""

from __future__ import annotations

import pytest

from installer.matrix.identity import identify
from installer.matrix.model import Scheme

UPSTREAM, DEBIAN, UBUNTU, RPM, SUSE = Scheme.UPSTREAM, Scheme.DEBIAN, Scheme.UBUNTU, Scheme.RPM, Scheme.SUSE

CASES: list[tuple[str, str, str, str, dict[Scheme, str]]] = [
    ("6.1.0-56-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-01)", "", "6.1", {DEBIAN: "6.1.192-2"}),
    (
        "6.12.117+deb13-amd64",
        "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-11-15)",
        "",
        "6.12",
        {DEBIAN: "6.12.117-1"},
    ),
    ("7.3.4+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 7.3.4-1~bpo13+1", "", "7.3", {DEBIAN: "7.3.4-1~bpo13+1"}),
    (
        "2.6.32-5-amd64",
        "#1 SMP Fri",
        "Linux version 2.6.32-5-amd64 (Debian 2.6.32-48)",
        "2.6.32",
        {DEBIAN: "2.6.32-48"},
    ),
    ("2.6.32-5-amd64", "#1 SMP Fri", "", "2.6.32", {}),
    ("2.6.32-24-generic", "#41-Ubuntu SMP Thu Aug 19", "", "2.6.32", {UBUNTU: "2.6.32-24.41"}),
    ("5.15.0-91-generic", "#101~20.04.1-Ubuntu SMP", "", "5.15", {UBUNTU: "5.15.0-91.101~20.04.1"}),
    ("6.8.0-31-generic", "#1 custom", "Ubuntu 6.8.0-31.31-generic 6.8.1", "6.8", {UBUNTU: "6.8.0-31.31"}),
    ("6.5.0-1014-aws", "#14~22.04.1-Ubuntu SMP", "", "6.5", {UBUNTU: "6.5.0-1014.14~22.04.1"}),
    ("6.8.12-4-pve", "#1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 (2024-11-06T15:04Z)", "", "6.8", {}),
    (
        "6.8.12-4-pve",
        "#1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 (2024-11-06T15:04Z)",
        "Linux version 6.8.12-4-pve (build@proxmox) (gcc (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP PMX 6.8.12-4",
        "6.8",
        {},
    ),
    (
        "6.1.64",
        "#1 SMP Tue Nov 28 2023",
        "Linux version 6.1.64 (root@host) (gcc (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP Tue Nov 28 2023",
        "6.1",
        {UPSTREAM: "6.1.64"},
    ),
    (
        "6.1.64",
        "#1 SMP",
        "Linux version 6.1.64 (root@host) (gcc (Ubuntu 11.4.0-1.2) 11.4.0) #1 SMP",
        "6.1",
        {UPSTREAM: "6.1.64"},
    ),
    ("5.14.0-427.13.1.el9_4.x86_64", "#1 SMP", "", "5.14", {RPM: "5.14.0-427.13.1.el9_4"}),
    ("4.18.0-553.el8_10.x86_64+debug", "#1 SMP", "", "4.18", {RPM: "4.18.0-553.el8_10"}),
    ("5.15.0-209.161.7.2.el8uek.x86_64", "#2 SMP", "", "5.15", {RPM: "5.15.0-209.161.7.2.el8uek"}),
    ("6.12.10-200.fc41.x86_64", "#1 SMP", "", "6.12", {RPM: "6.12.10-200.fc41", UPSTREAM: "6.12.10"}),
    (
        "6.13.0-0.rc3.20241220git.fc42.x86_64",
        "#1 SMP",
        "",
        "6.13",
        {RPM: "6.13.0-0.rc3.20241220git.fc42", UPSTREAM: "6.13.0-rc3"},
    ),
    ("6.1.112-124.190.amzn2023.x86_64", "#1", "", "6.1", {RPM: "6.1.112-124.190.amzn2023", UPSTREAM: "6.1.112"}),
    ("4.14.355-275.582.amzn2.x86_64", "#1", "", "4.14", {RPM: "4.14.355-275.582.amzn2"}),
    ("4.12.14-122.222-default", "#1 SMP", "", "4.12", {SUSE: "4.12.14-122.222"}),
    ("6.4.0-150600.23.7-default", "#1 SMP", "", "6.4", {SUSE: "6.4.0-150600.23.7"}),
    ("6.17.5-1-default", "#1 SMP", "", "6.17", {SUSE: "6.17.5-1", UPSTREAM: "6.17.5"}),
    ("6.17.1-arch1-1", "#1 SMP", "", "6.17", {UPSTREAM: "6.17.1"}),
    ("6.1.65-1-lts", "#1 SMP", "", "6.1", {UPSTREAM: "6.1.65"}),
    ("6.6.58-desktop-1.mga9", "#1 SMP", "", "6.6", {UPSTREAM: "6.6.58"}),
    ("6.13-rc3-amd64", "#1 SMP", "", "6.13", {UPSTREAM: "6.13-rc3"}),
    ("6.1.64", "#1 SMP", "", "6.1", {UPSTREAM: "6.1.64"}),
]


@pytest.mark.parametrize(("release", "version", "signature", "series", "versions"), CASES)
def test_identity(release: str, version: str, signature: str, series: str, versions: dict[Scheme, str]) -> None:
    kernel = identify(release, version, signature)
    assert (kernel.series, dict(kernel.versions)) == (series, versions)


def test_a_name_without_a_number() -> None:
    kernel = identify("custom", "#1 SMP")
    assert (kernel.series, dict(kernel.versions)) == (None, {})
