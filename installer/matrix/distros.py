# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of distributions, and the row of a system."""

from __future__ import annotations

from collections.abc import Mapping as Texts

from installer.matrix.model import Distro, Family, Matrix, PackageFormat, Provider, Scheme, Tier
from installer.matrix.reader import Mapping, Value
from installer.matrix.rows import unique, verified


def read_distros(value: Value) -> tuple[Distro, ...]:
    """Every row of the table, checked."""
    rows = tuple(_distro(item.mapping()) for item in value.items())
    unique(value, [row.key for row in rows])
    unique(
        value,
        [f"{row.os_id} {row.os_name or ''} {version}" for row in rows for version in (*row.versions, *row.codenames)],
    )
    return rows


def _distro(row: Mapping) -> Distro:
    distro = Distro(
        key=row["key"].text(),
        title=row["title"].text(),
        os_id=row["os_id"].text(),
        os_name=row.text("os_name"),
        versions=row.texts("versions"),
        codenames=row.texts("codenames"),
        family=row["family"].one_of(Family),
        package_format=row["package_format"].one_of(PackageFormat),
        scheme=row["scheme"].one_of(Scheme),
        architectures=row["architectures"].texts(),
        kernels=row["kernels"].texts(),
        end_of_life=row.day("end_of_life"),
        extended_end=row.day("extended_end"),
        boxes=_boxes(row),
        tier=row["tier"].one_of(Tier),
        verified=verified(row),
        advice=row.text("advice"),
        references=row.texts("references"),
    )
    row.finish()
    if distro.tier in (Tier.RETIRED, Tier.PLANNED) and not distro.advice:
        raise row.error(f"a {distro.tier.value} row needs 'advice'")
    if distro.tier is Tier.SUPPORTED and not distro.references:
        raise row.error("a supported row needs 'references' for its end of life")
    return distro


def _boxes(row: Mapping) -> dict[Provider, str]:
    value = row.get("boxes")
    if value is None:
        return {}
    names = value.mapping()
    boxes = {provider: names[provider.value].text() for provider in Provider if provider.value in names}
    names.finish()
    return boxes


def find_distro(matrix: Matrix, os_release: Texts[str, str]) -> Distro | None:
    """The row of the system with these values of os-release(5), by its own ID; derivatives are the caller's affair."""
    os_id, version = os_release.get("ID", "linux"), os_release.get("VERSION_ID", "")
    codename, name = os_release.get("VERSION_CODENAME", ""), os_release.get("NAME", "")
    candidates = [row for row in matrix.distros if row.os_id == os_id and name.startswith(row.os_name or "")]
    ranked = [(rank, row) for row in candidates if (rank := _rank(row, version, codename))]
    # The row that names the system most exactly: "15.6" before "15", "CentOS Stream" before any CentOS.
    best = max(ranked, key=lambda item: (item[0], len(item[1].os_name or "")), default=None)
    return best[1] if best else None


def _rank(row: Distro, version: str, codename: str) -> int:
    """How exactly a row names a release; 0: it is another one's."""
    if not row.versions and not row.codenames:
        return 1
    if not version:
        return 2 if codename in row.codenames else 0
    matching = [known for known in row.versions if version == known or version.startswith(known + ".")]
    return 2 + max(map(len, matching)) if matching else 0
