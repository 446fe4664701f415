# SPDX-License-Identifier: GPL-2.0-or-later
"""Specs and control files, as each target gets them."""

from __future__ import annotations

import dataclasses

import jinja2
import pytest

from hotcopy import __version__
from installer.build import facts, layout, repositories, template
from installer.build.deb import PLACES
from installer.build.repositories import Origin
from installer.build.targets import TARGETS, RpmTarget, target_of
from installer.families import packager
from installer.families.base import Repository
from installer.matrix.load import load
from installer.matrix.model import Family, PackageFormat, Tier
from tests.unit.installer.build.golden_files import PLACE, rendered

WRITE = "python -m tests.unit.installer.build.golden_files writes them anew"


def test_no_golden_file_is_too_many_or_missing() -> None:
    assert {path.name for path in PLACE.iterdir()} == set(rendered()), WRITE


@pytest.mark.parametrize("name", sorted(rendered()))
def test_golden_file(name: str) -> None:
    assert rendered()[name] == (PLACE / name).read_text(encoding="utf-8"), WRITE


def test_every_rpm_row_of_the_matrix_has_a_target() -> None:
    covered = set()
    for row in load().distros:
        target = target_of(row)
        if row.package_format is PackageFormat.RPM and row.tier is not Tier.RETIRED:
            assert target is not None and target.family is row.family, row.key
            covered.add(target.key)
        else:
            assert target is None, row.key
    assert covered == {target.key for target in TARGETS}


def test_versions_limits_and_dependencies_follow_the_project() -> None:
    found = facts.read()
    assert found.version == __version__ == found.releases[0].version
    changed = dataclasses.replace(found, python="3.99")
    texts = [template.file("rpm/hotcopy.spec.j2", _values(changed, index)) for index in range(len(TARGETS))]
    assert all(">= 3.99" in text and f"({found.oldest} and later)" in text for text in texts)
    for row in found.matrix.requirements.commands:
        for target, text in zip(TARGETS, texts):
            assert f"Requires:       {row.packages.get(target.family, row.package)}\n" in text
        assert row.packages.get(Family.DEBIAN, row.package) in (*found.commands(Family.DEBIAN),)


def _values(found: facts.Facts, index: int) -> dict[str, object]:
    from installer.build import rpm

    return dict(rpm.values(found, TARGETS[index]))


def test_a_value_that_is_not_given_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        template.file("rpm/hotcopy.spec.j2", {})


def test_dkms_is_never_asked_to_exclude_kernels() -> None:
    """DKMS 3.0.10 makes a kernel's package fail where BUILD_EXCLUSIVE does not fit, or where the driver does not build."""
    text = layout.dkms_conf(PLACES).decode()
    settings = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in settings if line.startswith("BUILD_EXCLUSIVE")]
    assert 'AUTOINSTALL=""' in settings and 'NO_WEAK_MODULES="yes"' in settings


def test_no_scriptlet_unloads_a_driver_at_an_upgrade() -> None:
    for name, text in rendered().items():
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if "modprobe -r" in line and not line.lstrip().startswith("#"):
                before = " ".join(lines[max(0, number - 4) : number])
                assert "-eq 0" in before or '"$1" = remove' in before, (name, line)
            assert "rmmod" not in line and "try-restart" not in line, (name, line)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.key)
def test_the_installer_adds_the_repository_as_it_is_published(target: RpmTarget) -> None:
    """hotcopy-install --repo writes what the real dnf is tested with."""
    found = packager(target.family)
    (file,) = found.repository_files(Repository("https://example.org", target.key), found.key_path())
    assert file.path == f"{target.repositories}/hotcopy.repo"
    assert file.text == repositories.repo(Origin("https://example.org", b"", b""), target)


def test_the_installer_adds_apts_source_as_it_is_published() -> None:
    """But for the key, which hotcopy-archive-keyring has elsewhere."""
    found = packager(Family.DEBIAN)
    (file,) = found.repository_files(
        Repository("https://example.org", ""), "/usr/share/keyrings/hotcopy-archive-keyring.gpg"
    )
    assert file.path == "/etc/apt/sources.list.d/hotcopy.sources"
    assert file.text == repositories.sources(Origin("https://example.org", b"", b""))
