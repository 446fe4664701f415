# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of broken kernels, at every edge of every range."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from installer.matrix.identity import KernelIdentity, identify
from installer.matrix.load import load
from installer.matrix.match import has_fault, known_broken
from installer.matrix.model import Affected, AppliesWhen, KnownBroken, Scheme, Severity
from installer.matrix.versions import order

MATRIX = load()
EDGES: dict[str, list[dict[str, str | bool]]] = yaml.safe_load(
    (Path(__file__).parent / "edges.yaml").read_text(encoding="utf-8")
)
CASES = [(key, at) for key, cases in EDGES.items() for at in range(len(cases))]


def row(key: str) -> KnownBroken:
    (found,) = [known for known in MATRIX.known_broken if known.key == key]
    return found


def kernel(case: dict[str, str | bool]) -> KernelIdentity:
    return identify(str(case["release"]), str(case["version"]), str(case.get("signature", "")))


def test_every_fault_has_edges() -> None:
    assert sorted(EDGES) == sorted(known.key for known in MATRIX.known_broken)


@pytest.mark.parametrize(("key", "at"), CASES)
def test_edge(key: str, at: int) -> None:
    case = EDGES[key][at]
    assert any(has_fault(one, kernel(case)) for one in row(key).affected) is case["broken"], kernel(case)


def places(affected: Affected, key: str) -> set[int]:
    """Between which events of a range its fixtures lie: 0 is before the first."""
    found = set()
    for case in EDGES[key]:
        identity = kernel(case)
        version = identity.versions.get(affected.scheme)
        if version and (not affected.release or fnmatchcase(identity.release, affected.release)):
            passed = [
                e for e in affected.events if order(affected.scheme, e.version) <= order(affected.scheme, version)
            ]
            found.add(len(passed))
    return found


@pytest.mark.parametrize(
    ("key", "at"), [(known.key, at) for known in MATRIX.known_broken for at in range(len(known.affected))]
)
def test_fixtures_on_each_side_of_each_edge(key: str, at: int) -> None:
    affected = row(key).affected[at]
    everywhere = set(range(len(affected.events) + 1))
    if affected.scheme is Scheme.UPSTREAM and affected.release:
        # Such a glob names whole kernels, whose upstream version is one and the same: its edges are in test_edge.
        everywhere = {1}
    assert places(affected, key) >= everywhere


@pytest.mark.parametrize(("key", "at"), CASES)
def test_the_driver_refuses_the_same_kernels(key: str, at: int) -> None:
    case, known = EDGES[key][at], row(key)
    patterns = [pattern for one in known.affected for pattern in one.driver]
    refused = any(
        fnmatchcase(str(case["release"]), pattern.release) and fnmatchcase(str(case["version"]), pattern.version)
        for pattern in patterns
    )
    assert refused is (bool(patterns) and case["broken"])


def test_a_fault_matters_with_its_filesystem_only() -> None:
    corrupting = identify("6.1.0-14-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.64-1 (2023-11-30)")
    keys = [known.key for known in known_broken(MATRIX, corrupting, {"ext4", "vfat"})]
    assert "ext4-o-sync-corruption" in keys
    others = [known.applies_when for known in known_broken(MATRIX, corrupting, {"xfs"})]
    assert AppliesWhen.EXT4_MOUNTED not in others


def test_a_kernel_of_unknown_version_has_no_fault() -> None:
    assert known_broken(MATRIX, identify("custom", "#1"), {"ext4", "xfs"}) == ()


@pytest.mark.parametrize("known", MATRIX.known_broken, ids=lambda known: str(known.key))
def test_a_deadlock_cannot_be_forced(known: KnownBroken) -> None:
    assert known.forceable is (known.key not in ("ext4-freeze-2.6", "io-uring-freeze"))


@pytest.mark.parametrize("known", MATRIX.known_broken, ids=lambda known: str(known.key))
def test_evidence_is_said_and_quoted(known: KnownBroken) -> None:
    for reference in known.references:
        assert len(reference.evidence) > 60, reference
    assert any(re.search(r'"[^"]{20,}"', reference.evidence) for reference in known.references)


def test_only_refusals_reach_the_driver() -> None:
    for known in MATRIX.known_broken:
        if any(one.driver for one in known.affected):
            assert known.severity is Severity.REFUSE
            # The driver does not know what is mounted; nearly every system has ext4.
            assert known.applies_when in (AppliesWhen.ANY, AppliesWhen.EXT4_MOUNTED)
