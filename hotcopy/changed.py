# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp --changed``: what was written to a device since a hot copy of it (docs/hcp-changed.md)."""

from __future__ import annotations

import errno
import json
import os

from hotcopy import abi, attach, checks, mounts, remove, sessions, upkeep
from hotcopy.dates import iso_date
from hotcopy.device import BlockDevice, resolve
from hotcopy.driver import HotCopy
from hotcopy.errors import DriverError, HcpError, UsageError
from hotcopy.fiemap import Extent
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

JSON_FORMAT = 1
_CHUNK = 1 << 16  # bytes written at a time
_FULL = "take a full backup, from a new hot copy"


class Request(NamedTuple):
    """What the command line asked for: ``form`` is ``text``, ``json`` or ``bitmap``."""

    device: str
    since: str | None = None
    until: str | None = None
    form: str = "text"


class Span(NamedTuple):
    """The time that is asked about: from one hot copy to a later one of the same origin, or (None) to now."""

    since: HotCopy
    until: HotCopy | None

    @property
    def size(self) -> int:
        """Bytes of the origin."""
        return self.since.nr_sectors * abi.SECTOR_SIZE


def merged(extents: Iterable[Extent], size: int) -> Iterator[Extent]:
    """Joins neighbours, and ends with the device, whose last unit may be a part of one."""
    start = behind = 0
    for extent in extents:
        if extent.physical != behind and behind > start:
            yield Extent(start, start, behind - start)
        if extent.physical != behind:
            start = extent.physical
        behind = min(extent.physical + extent.length, size)
    if behind > start:
        yield Extent(start, start, behind - start)


def as_text(extents: Iterable[Extent]) -> Iterator[bytes]:
    """Offset and length, in bytes, one extent a line."""
    for extent in extents:
        yield f"{extent.physical} {extent.length}\n".encode()


def as_json(span: Span, origin: str, extents: Iterable[Extent]) -> Iterator[bytes]:
    """One document; complete only if it ends with its last bracket."""
    until = span.until
    head = {
        "format": JSON_FORMAT,
        "origin": origin,
        "since": span.since.node,
        "since_created": iso_date(span.since.created_ns),
        "until": until.node if until is not None else None,
        "until_created": iso_date(until.created_ns) if until is not None else None,
        "unit_bytes": abi.UNIT_SIZE,
        "size_bytes": span.size,
    }
    yield (json.dumps(head, indent=2)[:-2] + ',\n  "extents": [').encode()
    separator = "\n"
    for extent in extents:
        yield f'{separator}    {{"offset": {extent.physical}, "length": {extent.length}}}'.encode()
        separator = ",\n"
    yield b"\n  ]\n}\n" if separator != "\n" else b"]\n}\n"


def as_bitmap(extents: Iterable[Extent], size: int) -> Iterator[bytes]:
    """One bit a unit, the least significant of each byte first; bits behind the end are 0."""
    unit = abi.UNIT_SIZE
    done = 0  # whole bytes given out
    byte = 0  # the one in the making
    for extent in extents:
        first, behind = extent.physical // unit, -(-(extent.physical + extent.length) // unit)
        while first < behind:
            if first // 8 != done:
                yield bytes([byte])
                byte, done = 0, done + 1
                yield from _repeated(b"\0", first // 8 - done)
                done = first // 8
            whole = (behind - first) // 8 if first % 8 == 0 else 0
            if whole:
                yield from _repeated(b"\xff", whole)
                done, first = done + whole, first + 8 * whole
                continue
            byte |= 1 << first % 8
            first += 1
            if first % 8 == 0:
                yield bytes([byte])
                byte, done = 0, done + 1
    units = -(-size // unit)
    total = -(-units // 8)
    if done < total:
        yield bytes([byte])
        yield from _repeated(b"\0", total - done - 1)


def _repeated(byte: bytes, count: int) -> Iterator[bytes]:
    while count > 0:
        part = min(count, _CHUNK)
        yield byte * part
        count -= part


def _of(text: str, device: BlockDevice, copies: Sequence[HotCopy]) -> HotCopy:
    copy = remove.find(text, copies, mounts.read())
    if copy.origin != device.dev:
        raise HcpError(
            f"{copy.node} is a hot copy of {copy.path}, not of {device.path}", "hcp -s shows which there are"
        )
    return copy


def choose(request: Request, device: BlockDevice, copies: Sequence[HotCopy]) -> Span:
    """The two hot copies that are meant. HcpError."""
    own = sorted((copy for copy in copies if copy.origin == device.dev), key=lambda copy: copy.sequence)
    if not own:
        remedy = f"there are {sessions.describe(copies)}" if copies else _FULL
        raise HcpError(f"{device.path} has no hot copy, so nobody watched what changed", remedy)
    until = _of(request.until, device, copies) if request.until is not None else None
    if request.since is not None:
        since = _of(request.since, device, copies)
    else:
        before = [copy for copy in own if until is None or copy.sequence < until.sequence]
        if not before:
            raise HcpError(f"{request.until} is the oldest hot copy of {device.path}", "name a later one with --until")
        since = before[-1]
    if until is not None and until.sequence <= since.sequence:
        raise HcpError(f"{until.node} is not newer than {since.node}", "exchange --since and --until")
    return Span(since, until)


def _changed(extents: Iterable[Extent]) -> Iterator[Extent]:
    try:
        yield from extents
    except DriverError as error:
        if error.errno != errno.ENODATA:
            raise
        raise HcpError(error.cause, _FULL) from error


def _write(parts: Iterable[bytes], out: Output) -> None:
    """In large pieces; none of it if the first cannot be told."""
    buffer = bytearray()
    for part in parts:
        buffer += part
        if len(buffer) >= _CHUNK:
            out.data(bytes(buffer))
            buffer.clear()
            if out.is_lost:
                return
    out.data(bytes(buffer))


def changed(request: Request, out: Output) -> None:
    """Prints what changed, as it is asked for. HcpError; what was printed before then is not all."""
    checks.need_root()
    if request.form == "bitmap" and os.isatty(1):
        raise UsageError("a bitmap is not for a terminal", "send it to a file: hcp --changed DEVICE --bitmap >FILE")
    device = resolve(request.device)
    driver = attach.attached()
    if driver is None:
        raise HcpError(f"{device.path} has no hot copy, the driver is not loaded", _FULL)
    with driver:
        copies = driver.hot_copies()
        upkeep.restart_keeper(driver, copies)
        span = choose(request, device, copies)
        told = _changed(driver.changed(span.since.minor, span.until.minor if span.until is not None else 0))
        extents = merged(told, span.size)
        if request.form == "json":
            _write(as_json(span, device.path, extents), out)
        elif request.form == "bitmap":
            _write(as_bitmap(extents, span.size), out)
        else:
            _write(as_text(extents), out)
