# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of kernels that are known to be broken."""

from __future__ import annotations

from installer.matrix.model import (
    Affected,
    AppliesWhen,
    DriverPattern,
    Event,
    KnownBroken,
    Reference,
    Scheme,
    Severity,
)
from installer.matrix.reader import Mapping, Value
from installer.matrix.rows import unique
from installer.matrix.versions import VersionError, order


def read_known_broken(value: Value) -> tuple[KnownBroken, ...]:
    """Every row of the table, checked."""
    rows = tuple(_known_broken(item.mapping()) for item in value.items())
    unique(value, [row.key for row in rows])
    return rows


def _known_broken(row: Mapping) -> KnownBroken:
    known = KnownBroken(
        key=row["key"].text(),
        title=row["title"].text(),
        applies_when=row["applies_when"].one_of(AppliesWhen),
        severity=row["severity"].one_of(Severity),
        forceable=row["forceable"].flag(),
        affected=tuple(_affected(item.mapping()) for item in row["affected"].items()),
        remedy=row["remedy"].text(),
        references=tuple(_reference(item.mapping()) for item in row["references"].items()),
    )
    row.finish()
    if known.severity is Severity.OK:
        raise row["severity"].error("warn or refuse expected, ok found")
    for key in ("affected", "references"):
        if not row[key].items():
            raise row[key].error("at least one expected, none found")
    return known


def _affected(row: Mapping) -> Affected:
    scheme = row["scheme"].one_of(Scheme)
    affected = Affected(
        scheme=scheme,
        events=_events(row["events"], scheme),
        release=row.text("release"),
        driver=tuple(_pattern(item.mapping()) for item in row.items("driver")),
    )
    # Every vendor of RPMs counts for itself.
    if scheme is Scheme.RPM and not affected.release:
        raise row.error("the scheme rpm needs 'release', a glob that tells the vendor")
    row.finish()
    return affected


def _events(value: Value, scheme: Scheme) -> tuple[Event, ...]:
    events: list[Event] = []
    for item in value.items():
        row = item.mapping()
        (word,) = tuple(row) if len(tuple(row)) == 1 else ("introduced or fixed",)
        event = Event(row[word].text(), word == "introduced")
        if word not in ("introduced", "fixed"):
            raise item.error(f"introduced or fixed expected, {word} found")
        if event.broken == (bool(events) and events[-1].broken):
            raise item.error("introduced and fixed must take turns, beginning with introduced")
        try:
            if events and order(scheme, events[-1].version) >= order(scheme, event.version):
                raise item.error(f"{event.version} is not newer than {events[-1].version}")
            order(scheme, event.version)
        except VersionError as wrong:
            raise item.error(str(wrong)) from wrong
        events.append(event)
    if not events:
        raise value.error("at least one expected, none found")
    return tuple(events)


def _pattern(row: Mapping) -> DriverPattern:
    pattern = DriverPattern(row["release"].text(), row["version"].text())
    row.finish()
    return pattern


def _reference(row: Mapping) -> Reference:
    reference = Reference(row["url"].text(), row["evidence"].text())
    row.finish()
    return reference
