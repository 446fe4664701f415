# SPDX-License-Identifier: GPL-2.0-or-later
"""Our orders of versions beside those of dpkg and rpm themselves."""

from __future__ import annotations

import random
import subprocess
from itertools import combinations

import pytest

from installer.matrix.dpkg_order import dpkg_compare
from installer.matrix.model import Scheme
from installer.matrix.rpm_order import evr_compare, vercmp
from installer.matrix.versions import VersionError, order

DEBIAN = [
    *("0", "1", "1.0", "1.0-1", "1.0-1~bpo11+1", "1.0-1~", "1.0~rc1-1", "1.0-1+b1", "1.0-10", "1.0-2", "1.0a", "1:0.1"),
    *("6.1.64-1", "6.1.64-1~bpo11+1", "6.1.66-1", "6.1.192-2", "6.13~rc3-1~exp1", "5.15.0-91.101~20.04.1", "1.0+x-1"),
    *(
        "2.6.32-24.41",
        "2.6.32-24.39",
        "2.6.32-308.15",
        "2.6.35-22.33",
        "6.12.38-1kali1",
        "6.12.38-1",
        "1.",
        "1.0.",
        "00",
    ),
]
RPM = [
    *(
        "1",
        "1.0",
        "1.0.0",
        "1.0~rc1",
        "1.0^git1",
        "1.0^",
        "1.0~",
        "1.0a",
        "a",
        "a1",
        "1.01",
        "1.1",
        "10",
        "9",
        "1.0.1^1",
    ),
    *(
        "427.13.1.el9_4",
        "427.el9",
        "70.13.1.el9_0",
        "150600.23.7",
        "150600.21",
        "127.fc12",
        "0.rc3.fc42",
        "1_0",
        "1..0",
    ),
]
EVR = ["5.14.0-427.13.1.el9_4", "5.14.0-70.el9", "5.14.0-427.el9", "1:1.0-1", "2.6.31.5-127.fc12", "2.6.31-33.fc12"]


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


def made(alphabet: str, count: int) -> list[str]:
    """Versions nobody would think of, the same ones each time."""
    dice = random.Random(41)
    return ["1" + "".join(dice.choices(alphabet, k=dice.randint(1, 6))) for _ in range(count)]


def dpkg_says(left: str, right: str) -> int:
    for relation, answer in (("lt", -1), ("gt", 1)):
        if subprocess.run(["dpkg", "--compare-versions", left, relation, right], check=False).returncode == 0:
            return answer
    return 0


@pytest.mark.parametrize("version", DEBIAN)
def test_debian_order_is_dpkg_order(version: str) -> None:
    for other in DEBIAN:
        assert dpkg_compare(version, other) == dpkg_says(version, other), other


def test_debian_order_of_random_versions() -> None:
    versions = made("01a.+~", 18)
    for left, right in combinations(versions, 2):
        assert dpkg_compare(left, right) == dpkg_says(left, right), (left, right)


def rpm_says(pairs: list[tuple[str, str]]) -> list[int]:
    calls = " ".join(f"print(rpm.vercmp('{left}','{right}')..' ')" for left, right in pairs)
    done = subprocess.run(["rpm", "--eval", f"%{{lua:{calls}}}"], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def test_rpm_order_is_rpm_order() -> None:
    versions = RPM + made("01a.~^", 40)
    pairs = list(combinations(versions, 2))
    said = [answer for at in range(0, len(pairs), 400) for answer in rpm_says(pairs[at : at + 400])]
    assert len(said) == len(pairs) > 1000
    for (left, right), answer in zip(pairs, said):
        assert sign(vercmp(left, right)) == answer, (left, right)
        assert sign(vercmp(right, left)) == -answer, (left, right)


def test_epoch_version_and_release() -> None:
    pairs = list(combinations(EVR, 2))
    for (left, right), answer in zip(pairs, rpm_says(pairs)):
        if ":" not in left + right:
            assert sign(evr_compare(left, right)) == answer, (left, right)
    assert evr_compare("1:1.0-1", "5.14.0-70.el9") > 0
    assert evr_compare("1.0-1", "1.0-1") == 0


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2.6.32-rc8", "2.6.32"),
        ("6.12.9", "6.12.10"),
        ("6.13-rc3", "6.13"),
        ("6.1", "6.1.1"),
        ("2.6.32.9", "2.6.33"),
        ("6.19.14", "7.0-rc1"),
    ],
)
def test_upstream_order(older: str, newer: str) -> None:
    assert order(Scheme.UPSTREAM, older) < order(Scheme.UPSTREAM, newer)


def test_upstream_zero_is_the_same() -> None:
    assert order(Scheme.UPSTREAM, "6.13.0-rc3") == order(Scheme.UPSTREAM, "6.13-rc3")


@pytest.mark.parametrize(
    ("scheme", "version"),
    [
        (Scheme.UPSTREAM, "6.1.192-2"),
        (Scheme.UPSTREAM, ""),
        (Scheme.DEBIAN, "trunk"),
        (Scheme.RPM, "5.14.0-70-1"),
        (Scheme.SUSE, "6.4 0"),
    ],
)
def test_what_is_no_version_is_said(scheme: Scheme, version: str) -> None:
    with pytest.raises(VersionError, match=f"'{version}' is no {scheme.value} version"):
        order(scheme, version)
